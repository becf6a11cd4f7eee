package membership

import (
	"fmt"
	"slices"
	"strings"

	"bridge.example/internal/fault"
)

// Service is something the bridge does for a member.
type Service string

const (
	OnList           Service = "list"
	InDirectory      Service = "directory"
	ByResponder      Service = "responder"
	CrossCertificate Service = "cross-certificate"
)

var services = []Service{OnList, InDirectory, ByResponder, CrossCertificate}

// Wants reports whether the applicant wants a service; naming none means all.
func (a *Application) Wants(s Service) bool {
	return len(a.Services) == 0 || slices.Contains(a.Services, s)
}

// Delivery is where a member's mail is decrypted.
type Delivery string

const (
	ToEnd  Delivery = "to-end"  // at each recipient, who has a certificate
	ToSite Delivery = "to-site" // at a gateway, which has one for the domain
)

var deliveries = []Delivery{"", ToEnd, ToSite}

// Bound is a without its free fields: those that anyone entitled may change
// without voiding an approval. They are the contacts, the web site and the
// languages.
func (a *Application) Bound() Application {
	b := *a
	b.Contacts, b.Website, b.Languages = nil, "", nil
	return b
}

func (a *Application) validateRecord(p *problems) {
	checkText(p, "register_number", a.RegisterNumber, false)
	checkText(p, "address", a.Address, false)
	checkText(p, "sector", a.Sector, false)
	if a.Website != "" {
		p.check("website", checkURL(a.Website, "http", "https"))
	}
	if len(a.Languages) > maxNames {
		p.addf("languages: want at most %d, got %d", maxNames, len(a.Languages))
	}
	for i, l := range a.Languages {
		if l == "" || len(l) > 35 || strings.Trim(strings.ToLower(l), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			p.addf("languages[%d]: %q is no language tag like \"de\" (RFC 5646)", i, l)
		}
	}
	for i, s := range a.Services {
		where := fmt.Sprintf("services[%d]", i)
		p.check(where, checkOneOf(s, services))
		if slices.Index(a.Services, s) < i {
			p.addf("%s: %q is there twice", where, s)
		}
	}
	p.check("delivery", checkOneOf(a.Delivery, deliveries))
	if a.OneWay && len(a.CrossCertificates) > 0 {
		p.addf("cross_certificates: with one_way the member certifies the bridge not at all")
	}
	checkDocuments(p, "documents", a.Documents)
}

func checkOneOf[T ~string](v T, known []T) error {
	if slices.Contains(known, v) {
		return nil
	}
	var names []string
	for _, k := range known {
		if k != "" {
			names = append(names, string(k))
		}
	}
	return fault.New(fault.Invalid, "%q is not known; want one of %s", v, strings.Join(names, ", "))
}

// same reports whether two rows map the same policies.
func (p Policy) same(q Policy) bool { return p.Member == q.Member && p.Bridge == q.Bridge }

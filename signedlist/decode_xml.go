package signedlist

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"bridge.example/internal/wire/cms"
	"bridge.example/internal/wire/xmlsig"
)

// OpenXML is [Open] for a list in the format of TS 119 612, and returns with it
// all services, those among them that left the list. Hash and Previous are those
// of the list in CMS.
func OpenXML(document []byte, roots *x509.CertPool, at time.Time) (*List, []Service, error) {
	v, err := xmlsig.Verify(document)
	switch {
	case errors.Is(err, xmlsig.ErrFormat):
		return nil, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if err := mayHaveSigned(v, roots, at); err != nil {
		return nil, nil, err
	}
	l, services, err := decodeXML(v)
	if err != nil {
		return nil, nil, err
	}
	if err := l.fresh(at); err != nil && !errors.Is(err, ErrExpired) {
		return nil, nil, err
	} else if err != nil {
		return l, services, err
	}
	return l, services, nil
}

// mayHaveSigned checks the signer of v. Errors: ErrSignature.
func mayHaveSigned(v *xmlsig.Verified, roots *x509.CertPool, at time.Time) error {
	chain, err := cms.Chain(v.Signer, append([]*x509.Certificate{v.Signer}, v.Others...), roots, at)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if !maySign(chain) {
		return fmt.Errorf("%w: %q may not sign lists", ErrSignature, v.Signer.Subject)
	}
	return nil
}

// decodeXML reads what encodeXML writes, and passes over addresses and what else
// a list has no field for. Errors: ErrFormat.
func decodeXML(v *xmlsig.Verified) (*List, []Service, error) {
	d := xmlReader{r: v.Reader()}
	d.next()
	l := new(List)
	var services []Service
	d.in("TrustServiceStatusList", func() {
		d.in("SchemeInformation", func() { d.scheme(l) })
		if d.at("TrustServiceProviderList") {
			d.in("TrustServiceProviderList", func() {
				for d.at("TrustServiceProvider") {
					services = d.provider(services)
				}
			})
		}
	})
	switch {
	case d.err != nil:
		return nil, nil, fmt.Errorf("%w: %w", ErrFormat, d.err)
	case l.Number < 1 || !l.NextUpdate.After(l.IssuedAt) || !l.IssuedAt.Equal(v.SigningTime):
		return nil, nil, fmt.Errorf("%w: number, nextUpdate or time of issue missing or impossible", ErrFormat)
	}
	if err := checkServices(services); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	l.Entries = granted(services)
	if err := inOrder(l.Entries); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	l.Issuer, l.Signer = v.Signer.Issuer.String(), keyHash(v.Signer)
	return l, services, nil
}

// checkServices checks that services are in order, each complete, and changed
// from one instant to the next.
func checkServices(services []Service) error {
	for i, s := range services {
		if _, err := s.normalise(); err != nil {
			return err
		}
		if len(s.Changes) == 0 || !slices.IsSortedFunc(s.Changes, time.Time.Compare) {
			return fmt.Errorf("the history of %q is out of order", s.Certificate.Subject)
		}
		if i > 0 && compare(services[i-1].Entry, s.Entry) >= 0 {
			return fmt.Errorf("%q is out of order, or there twice", s.Certificate.Subject)
		}
	}
	return nil
}

// xmlReader reads elements of one namespace. After an error it does nothing more.
type xmlReader struct {
	r     *xmlsig.Reader
	token xmlsig.Token // that comes next
	ended bool         // there is none
	err   error
}

func (d *xmlReader) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
	d.ended = true
}

// is reports whether a token of this kind comes next.
func (d *xmlReader) is(kind xmlsig.Kind) bool { return !d.ended && d.token.Kind == kind }

func (d *xmlReader) next() {
	if d.err != nil {
		return
	}
	var err error
	d.token, err = d.r.Next()
	if errors.Is(err, io.EOF) {
		d.ended = true
	} else if err != nil {
		d.fail("%w", err)
	}
}

// at reports whether an element of this name begins.
func (d *xmlReader) at(name string) bool {
	return d.is(xmlsig.Start) && d.token.Space == tslSpace && d.token.Name == name
}

// in reads an element, whose content body reads.
func (d *xmlReader) in(name string, body func()) {
	if !d.at(name) {
		d.fail("%s is missing, or in another place", name)
		return
	}
	d.next()
	body()
	if d.err != nil {
		return
	}
	if !d.is(xmlsig.End) {
		d.fail("%s has more in it than it should", name)
		return
	}
	d.next()
}

// leaf reads an element with text.
func (d *xmlReader) leaf(name string) (text string) {
	d.in(name, func() {
		if d.is(xmlsig.Text) {
			text = string(d.token.Text)
			d.next()
		}
	})
	return text
}

// only reads an element that can have one text.
func (d *xmlReader) only(name, want string) {
	if got := d.leaf(name); got != want {
		d.fail("%s is %q, want %q", name, got, want)
	}
}

// skip reads elements, whatever is in them.
func (d *xmlReader) skip(names ...string) {
	for _, name := range names {
		d.in(name, func() {
			for depth := 0; !d.ended && (depth > 0 || d.token.Kind != xmlsig.End); d.next() {
				switch d.token.Kind {
				case xmlsig.Start:
					depth++
				case xmlsig.End:
					depth--
				}
			}
		})
	}
}

func (d *xmlReader) time(name string) time.Time {
	s := d.leaf(name)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.UTC().Format(time.RFC3339) != s {
		d.fail("%s is not a time in UTC", name)
	}
	return t.UTC()
}

func (d *xmlReader) base64(name string) []byte {
	b, err := base64.StdEncoding.Strict().DecodeString(d.leaf(name))
	if err != nil {
		d.fail("%s: %w", name, err)
	}
	return b
}

// name reads an element with one Name.
func (d *xmlReader) name(name string) (text string) {
	d.in(name, func() { text = d.leaf("Name") })
	return text
}

// extensions reads a list of extensions, which take takes by their URI. Others
// are passed over, so that later lists may have them, if they are not critical.
func (d *xmlReader) extensions(name string, take func(uri, value string) bool) {
	d.in(name, func() {
		for d.at("Extension") {
			critical := len(d.token.Attr) != 1 || d.token.Attr[0].Value != "false"
			d.in("Extension", func() {
				if !d.at("AdditionalServiceInformation") {
					d.fail("an extension that is not known")
					return
				}
				d.in("AdditionalServiceInformation", func() {
					uri, value := d.leaf("URI"), d.leaf("InformationValue")
					if d.err == nil && !take(uri, value) && critical {
						d.fail("a critical extension %q that is not known", uri)
					}
				})
			})
		}
	})
}

// scheme reads SchemeInformation.
func (d *xmlReader) scheme(l *List) {
	d.only("TSLVersionIdentifier", tslVersion)
	number, err := strconv.ParseInt(d.leaf("TSLSequenceNumber"), 10, 64)
	if err != nil {
		d.fail("TSLSequenceNumber: %w", err)
	}
	l.Number = number
	d.skip("TSLType", "SchemeOperatorName", "SchemeOperatorAddress", "SchemeName", "SchemeInformationURI",
		"StatusDeterminationApproach", "SchemeTypeCommunityRules", "SchemeTerritory", "PolicyOrLegalNotice")
	d.only("HistoricalInformationPeriod", keepsAll)
	l.IssuedAt = d.time("ListIssueDateTime")
	d.in("NextUpdate", func() { l.NextUpdate = d.time("dateTime") })
	d.skip("DistributionPoints")
	var hash, previous string
	d.extensions("SchemeExtensions", func(uri, value string) bool {
		switch uri {
		case uriHash:
			hash = value
		case uriPrevious:
			previous = value
		case uriSigner:
			var h [sha256.Size]byte
			if !readHash(&h, value) {
				d.fail("%q is not the hash of a key", value)
			}
			l.Signers = append(l.Signers, h)
		default:
			return false
		}
		return true
	})
	if !readHash(&l.Hash, hash) || (l.Number > 1) != readHash(&l.Previous, previous) {
		d.fail("the hash of the list, or of the one before, is missing or none")
	}
}

func readHash(out *[sha256.Size]byte, text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && copy(out[:], b) == len(out) && hex.EncodeToString(out[:]) == text
}

// provider reads a TrustServiceProvider and appends its services.
func (d *xmlReader) provider(services []Service) []Service {
	d.in("TrustServiceProvider", func() {
		var e Entry
		d.in("TSPInformation", func() {
			e.Title, e.Member = d.name("TSPName"), d.name("TSPTradeName")
			d.skip("TSPAddress", "TSPInformationURI")
		})
		d.in("TSPServices", func() {
			for d.at("TSPService") {
				d.in("TSPService", func() { services = append(services, d.service(e)) })
			}
		})
	})
	return services
}

// service reads a TSPService of the provider whose name and id e has.
func (d *xmlReader) service(e Entry) Service {
	s := Service{Entry: e}
	var last string
	d.in("ServiceInformation", func() {
		last = d.status(&s)
		d.extensions("ServiceInformationExtensions", func(uri, value string) bool {
			switch uri {
			case uriPolicy:
				s.Policies = append(s.Policies, d.oid(value))
			case uriLevel:
				s.Levels = append(s.Levels, d.oid(value))
			case uriDomain:
				s.MailDomains = append(s.MailDomains, value)
			default:
				return false
			}
			return true
		})
	})
	statuses := []string{last}
	if d.at("ServiceHistory") {
		d.in("ServiceHistory", func() {
			for d.at("ServiceHistoryInstance") {
				d.in("ServiceHistoryInstance", func() { statuses = append(statuses, d.status(&s)) })
			}
		})
	}
	slices.Reverse(statuses)
	slices.Reverse(s.Changes)
	for i, status := range statuses {
		if status != statusAt(i) {
			d.fail("the history of %q does not go from granted to withdrawn and back", e.Member)
		}
	}
	return s
}

// status reads what writer's status writes: it appends to the changes of s, and
// takes the certificate the first time.
func (d *xmlReader) status(s *Service) (status string) {
	d.only("ServiceTypeIdentifier", uriCA)
	name := d.name("ServiceName")
	d.in("ServiceDigitalIdentity", func() {
		if s.Certificate == nil {
			d.in("DigitalId", func() { s.Certificate = d.certificate("X509Certificate") })
		}
		if s.Certificate == nil {
			return
		}
		d.in("DigitalId", func() { d.only("X509SubjectName", subject(s.Certificate)) })
		d.in("DigitalId", func() { d.only("X509SKI", base64.StdEncoding.EncodeToString(keyID(s.Certificate))) })
	})
	if s.Certificate != nil && name != subject(s.Certificate) {
		d.fail("ServiceName is %q, want %q", name, subject(s.Certificate))
	}
	status = d.leaf("ServiceStatus")
	s.Changes = append(s.Changes, d.time("StatusStartingTime"))
	return status
}

func (d *xmlReader) oid(text string) x509.OID {
	o, err := x509.ParseOID(text)
	if err != nil || o.String() != text {
		d.fail("%q is not an object identifier", text)
	}
	return o
}

func (d *xmlReader) certificate(name string) *x509.Certificate {
	der := d.base64(name)
	if d.err != nil {
		return nil
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		d.fail("%s: %w", name, err)
		return nil
	}
	return c
}

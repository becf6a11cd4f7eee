package signedlist

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"bridge.example/internal/wire/xmlsig"
)

// What TS 119 612 v2.4.1 has for this kind of list; CC stands for the country of
// the scheme.
const (
	tslSpace   = "http://uri.etsi.org/02231/v2#"
	tslTag     = "http://uri.etsi.org/19612/TSLTag"
	tslVersion = "6"

	uriType          = "http://uri.etsi.org/TrstSvc/TrustedList/TSLType/CClist"             // §5.3.3
	uriDetermination = "http://uri.etsi.org/TrstSvc/TrustedList/StatusDetn/CCdetermination" // §5.3.8
	uriRules         = "http://uri.etsi.org/TrstSvc/TrustedList/schemerules/CC"             // §5.3.9
	uriCA            = "http://uri.etsi.org/TrstSvc/Svctype/CA/PKC"                         // §5.5.1
	uriGranted       = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/granted"          // §5.5.4
	uriWithdrawn     = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/withdrawn"        // §5.5.4
	keepsAll         = "65535"                                                              // §5.3.12
)

// Names of what TS 119 612 has no place for, as URIs of AdditionalServiceInformation
// (§5.5.9.4).
const (
	uriPolicy   = "urn:oid:" + arc + ".8"
	uriLevel    = "urn:oid:" + arc + ".9"
	uriDomain   = "urn:oid:" + arc + ".10"
	uriHash     = "urn:oid:" + arc + ".11"
	uriPrevious = "urn:oid:" + arc + ".12"
	uriSigner   = "urn:oid:" + arc + ".13"
)

const legalNotice = "A service is trusted for certificates under the policies and for the mail domains that are stated with it, and for no others."

// xmlWriter writes canonical XML in one namespace.
type xmlWriter struct{ bytes.Buffer }

// leaf writes an element with text.
func (w *xmlWriter) leaf(name, text string) {
	w.WriteString("<" + name + ">")
	w.WriteString(xmlsig.EscapeText(text))
	w.WriteString("</" + name + ">")
}

// english writes an element with text in the one language there is.
func (w *xmlWriter) english(name, text string) {
	w.WriteString("<" + name + ` xml:lang="en">`)
	w.WriteString(xmlsig.EscapeText(text))
	w.WriteString("</" + name + ">")
}

// in writes an element around what body writes.
func (w *xmlWriter) in(name string, body func()) {
	w.WriteString("<" + name + ">")
	body()
	w.WriteString("</" + name + ">")
}

func (w *xmlWriter) base64(name string, b []byte) {
	w.in(name, func() { w.Write(base64.StdEncoding.AppendEncode(w.AvailableBuffer(), b)) })
}

func (w *xmlWriter) time(name string, t time.Time) { w.leaf(name, t.UTC().Format(time.RFC3339)) }

// encodeXML writes l in the format of TS 119 612, without a signature. services
// are those of l, with those that were.
func encodeXML(l *List, services []Service, s *Scheme) []byte {
	w := new(xmlWriter)
	size := 16 << 10 // room for the scheme and a signature
	for _, s := range services {
		size += 1200 + 300*(len(s.Policies)+len(s.Levels)+len(s.MailDomains)) + 800*len(s.Changes) + base64.StdEncoding.EncodedLen(len(s.Certificate.Raw))
	}
	w.Grow(size)
	w.WriteString(`<TrustServiceStatusList xmlns="` + tslSpace + `" TSLTag="` + tslTag + `">`)
	w.scheme(l, s)
	if len(services) > 0 {
		w.in("TrustServiceProviderList", func() {
			for _, group := range byProvider(services) {
				w.provider(group, s)
			}
		})
	}
	w.WriteString("</TrustServiceStatusList>")
	return w.Bytes()
}

// byProvider divides services where the provider changes, be it in name only.
func byProvider(services []Service) (out [][]Service) {
	for start, i := 0, 1; i <= len(services); i++ {
		if i == len(services) || services[i].Member != services[start].Member || services[i].Title != services[start].Title {
			out, start = append(out, services[start:i]), i
		}
	}
	return out
}

// scheme writes SchemeInformation (§5.3).
func (w *xmlWriter) scheme(l *List, s *Scheme) {
	of := func(uri string) string { return strings.Replace(uri, "CC", s.Country, 1) }
	w.in("SchemeInformation", func() {
		w.leaf("TSLVersionIdentifier", tslVersion)
		w.leaf("TSLSequenceNumber", strconv.FormatInt(l.Number, 10))
		w.leaf("TSLType", of(uriType))
		w.in("SchemeOperatorName", func() { w.english("Name", oneLine(s.Operator)) })
		w.in("SchemeOperatorAddress", func() { w.address(s, s.Email, s.URL+"/") })
		w.in("SchemeName", func() { w.english("Name", s.Country+":"+oneLine(s.Name)) })
		w.in("SchemeInformationURI", func() { w.english("URI", s.URL+"/") })
		w.leaf("StatusDeterminationApproach", of(uriDetermination))
		w.in("SchemeTypeCommunityRules", func() { w.english("URI", of(uriRules)) })
		w.leaf("SchemeTerritory", s.Country)
		w.in("PolicyOrLegalNotice", func() { w.english("TSLLegalNotice", legalNotice) })
		w.leaf("HistoricalInformationPeriod", keepsAll)
		w.time("ListIssueDateTime", l.IssuedAt)
		w.in("NextUpdate", func() { w.time("dateTime", l.NextUpdate) })
		w.in("DistributionPoints", func() { w.leaf("URI", s.URL+"/"+XMLName) })
		w.in("SchemeExtensions", func() {
			w.extension(false, uriHash, hex.EncodeToString(l.Hash[:]))
			if l.Number > 1 {
				w.extension(false, uriPrevious, hex.EncodeToString(l.Previous[:]))
			}
			for _, h := range l.Signers {
				w.extension(false, uriSigner, hex.EncodeToString(h[:]))
			}
		})
	})
}

// address writes what an address consists of (§5.3.5). Of members the register
// knows no street: they are written to by way of the bridge.
func (w *xmlWriter) address(s *Scheme, email string, uris ...string) {
	w.in("PostalAddresses", func() {
		w.WriteString(`<PostalAddress xml:lang="en">`)
		w.leaf("StreetAddress", s.Street)
		w.leaf("Locality", s.Locality)
		if s.PostalCode != "" {
			w.leaf("PostalCode", s.PostalCode)
		}
		w.leaf("CountryName", s.Country)
		w.WriteString("</PostalAddress>")
	})
	w.in("ElectronicAddress", func() {
		w.english("URI", "mailto:"+email)
		for _, u := range uris {
			w.english("URI", u)
		}
	})
}

// provider writes a TrustServiceProvider (§5.4): all services have its name.
func (w *xmlWriter) provider(services []Service, s *Scheme) {
	w.in("TrustServiceProvider", func() {
		w.in("TSPInformation", func() {
			w.in("TSPName", func() { w.english("Name", services[0].Title) })
			w.in("TSPTradeName", func() { w.english("Name", services[0].Member) })
			// Every domain with mail has this address (RFC 5321 §4.5.1).
			w.in("TSPAddress", func() { w.address(s, "postmaster@"+services[0].MailDomains[0]) })
			w.in("TSPInformationURI", func() { w.english("URI", s.URL+"/") })
		})
		w.in("TSPServices", func() {
			for _, service := range services {
				w.in("TSPService", func() { w.service(service) })
			}
		})
	})
}

// service writes what is so, and then what was, the newest first (§5.5, §5.6).
func (w *xmlWriter) service(s Service) {
	last := len(s.Changes) - 1
	w.in("ServiceInformation", func() {
		w.status(s, last)
		w.in("ServiceInformationExtensions", func() {
			for _, p := range s.Policies {
				w.extension(true, uriPolicy, p.String())
			}
			for _, d := range s.MailDomains {
				w.extension(true, uriDomain, d)
			}
			for _, level := range s.Levels {
				w.extension(false, uriLevel, level.String())
			}
		})
	})
	if last > 0 {
		w.in("ServiceHistory", func() {
			for i := last - 1; i >= 0; i-- {
				w.in("ServiceHistoryInstance", func() { w.status(s, i) })
			}
		})
	}
}

// status writes what the i-th change of a service made it. Only what is so needs
// the certificate.
func (w *xmlWriter) status(s Service, i int) {
	w.leaf("ServiceTypeIdentifier", uriCA)
	w.in("ServiceName", func() { w.english("Name", subject(s.Certificate)) })
	w.in("ServiceDigitalIdentity", func() {
		if i == len(s.Changes)-1 {
			w.in("DigitalId", func() { w.base64("X509Certificate", s.Certificate.Raw) })
		}
		w.in("DigitalId", func() { w.leaf("X509SubjectName", subject(s.Certificate)) })
		w.in("DigitalId", func() { w.base64("X509SKI", keyID(s.Certificate)) })
	})
	w.leaf("ServiceStatus", statusAt(i))
	w.time("StatusStartingTime", s.Changes[i])
}

// statusAt is what the i-th change of a service made it.
func statusAt(i int) string {
	if i%2 == 0 {
		return uriGranted
	}
	return uriWithdrawn
}

func (w *xmlWriter) extension(critical bool, uri, value string) {
	w.WriteString(`<Extension Critical="` + strconv.FormatBool(critical) + `">`)
	w.in("AdditionalServiceInformation", func() {
		w.english("URI", uri)
		w.leaf("InformationValue", value)
	})
	w.WriteString("</Extension>")
}

// subject is the name of a CA for people.
func subject(c *x509.Certificate) string {
	if name := oneLine(c.Subject.String()); name != "" {
		return name
	}
	return "CA " + hex.EncodeToString(keyID(c))
}

// oneLine puts spaces in the place of what no line of XML can have.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0xfffe || c == 0xffff {
			return ' '
		}
		return c
	}, s)
}

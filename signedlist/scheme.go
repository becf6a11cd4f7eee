package signedlist

import (
	"net/mail"
	"net/url"
	"strings"

	"bridge.example/internal/fault"
)

// Scheme is what a list in the format of TS 119 612 says about the bridge
// itself. All of it is required but PostalCode.
type Scheme struct {
	Name       string // of the bridge
	Operator   string // who runs it: name of a legal person
	Street     string
	PostalCode string
	Locality   string
	Country    string // ISO 3166-1 alpha-2, in upper case
	Email      string // where the operator is reached
	URL        string // of the repository, without a slash at the end
}

// Check reports what of a scheme is missing or no use. Errors: Invalid.
func (s *Scheme) Check() error {
	for _, f := range []struct{ name, value string }{
		{"name", s.Name}, {"operator", s.Operator}, {"street", s.Street}, {"locality", s.Locality},
	} {
		if strings.TrimSpace(f.value) == "" {
			return fault.New(fault.Invalid, "a trusted list says who runs the scheme: %s is missing", f.name)
		}
	}
	if len(s.Country) != 2 || strings.Trim(s.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return fault.New(fault.Invalid, "country %q is not two capital letters of ISO 3166-1", s.Country)
	}
	if a, err := mail.ParseAddress(s.Email); err != nil || a.Address != s.Email {
		return fault.New(fault.Invalid, "%q is not a mail address", s.Email)
	}
	if u, err := url.Parse(s.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.HasSuffix(s.URL, "/") {
		return fault.New(fault.Invalid, "%q is not an http URL without a slash at its end", s.URL)
	}
	return nil
}

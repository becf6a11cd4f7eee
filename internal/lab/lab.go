// Package lab builds simulated member organisations: a CA of two levels, users
// with S/MIME certificates, and the directory, OCSP responder and publication
// point that go with them, all on loopback. They serve tests and the demo.
//
// Their directory and responder run on libraries that the bridge itself does
// not use, so that two independent implementations meet on the wire. Those
// libraries are no match for hostile input; nothing here may face a network.
//
// [Organisation.StartSlapd] and [Organisation.StartOpenSSLOCSP] put real
// programs in the place of the simulated ones.
package lab

import "strings"

// Dialects of the directories that can be simulated.
const (
	// InetOrgPerson is RFC 2798 as OpenLDAP serves it.
	InetOrgPerson = "inetOrgPerson"
	// ActiveDirectory knows userCertificate only without ";binary", keeps
	// addresses in proxyAddresses, refuses anonymous searches and adds a
	// reference to searches of the whole domain.
	ActiveDirectory = "activeDirectory"
)

// Algorithm is the kind of key of a CA.
type Algorithm string

// The algorithms: RSA has 3072 bits, ECDSA the curve P-256.
const (
	RSA   Algorithm = "RSA"
	ECDSA Algorithm = "ECDSA"
)

// State is what a user's certificate is good for.
type State string

// The states of certificates.
const (
	Valid   State = "valid"
	Expired State = "expired"
	Revoked State = "revoked"
)

// Spec describes an organisation. All fields but BindDN and Password are needed.
type Spec struct {
	ID      string // as the bridge's register knows it
	Name    string // organizationName in every subject
	Country string // ISO 3166 alpha-2
	Domain  string // of the users' mail addresses

	// Key is the CAs' algorithm. Users have RSA keys of 2048 bits everywhere,
	// since that is what every S/MIME client can encrypt to.
	Key Algorithm
	// DelegateOCSP has a delegate sign for the issuing CA (RFC 6960 §4.2.2.2);
	// else, and for the root always, the CA itself signs.
	DelegateOCSP bool
	Policy       string // OID of the certificate policy, dotted

	Dialect string // of the directory
	Suffix  string // RFC 4514 name of its top entry
	// BindDN and Password are the account that may search. Without them
	// anybody may.
	BindDN, Password string

	Users []UserSpec
}

// UserSpec describes a user.
type UserSpec struct {
	Local string // part of the mail address before the @
	CN    string // given name and surname
	State State
}

// Alpha is an organisation with elliptic-curve CAs, an inetOrgPerson directory
// open to everybody, and a delegated OCSP responder.
func Alpha() Spec {
	return Spec{
		ID: "alpha", Name: "Alpha", Country: "DE", Domain: "alpha.example",
		Key: ECDSA, DelegateOCSP: true, Policy: "1.3.6.1.4.1.32473.2.1",
		Dialect: InetOrgPerson, Suffix: "o=Alpha,c=DE",
		Users: []UserSpec{
			{"alice", "Alice Abel", Valid},
			{"emil", "Emil Engel", Expired},
			{"rosa", "Rosa Richter", Revoked},
		},
	}
}

// Beta is an organisation with RSA CAs, a directory in the manner of Active
// Directory, and OCSP responses signed by the CA itself.
func Beta() Spec {
	return Spec{
		ID: "beta", Name: "Beta", Country: "FR", Domain: "beta.example",
		Key: RSA, Policy: "1.3.6.1.4.1.32473.3.1",
		Dialect: ActiveDirectory, Suffix: "DC=beta,DC=example",
		BindDN: "CN=bridge,CN=Users,DC=beta,DC=example", Password: "bridge-of-the-lab",
		Users: []UserSpec{
			{"bob", "Bob Baron", Valid},
			{"eve", "Eve Evrard", Expired},
			{"remy", "Remy Renard", Revoked},
		},
	}
}

func (s *Spec) mail(u UserSpec) string { return u.Local + "@" + s.Domain }

// names are the given name and the surname of u.
func (u UserSpec) names() (given, surname string) {
	given, surname, _ = strings.Cut(u.CN, " ")
	return given, surname
}

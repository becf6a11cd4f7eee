// Package convert turns what the register keeps into messages of the
// administrative interface and back, for both ends of the wire.
package convert

import (
	"bridge.example/api/proto"
	"bridge.example/membership"
)

// Each converts every element; nil stays nil.
func Each[A, B any](in []A, convert func(A) B) []B {
	var out []B
	for _, a := range in {
		out = append(out, convert(a))
	}
	return out
}

// FromApplication makes a message of an application.
func FromApplication(a membership.Application) *proto.Application {
	ca := func(c membership.CA) *proto.CA {
		out := &proto.CA{Certificate: c.Certificate, Ocsp: c.OCSP, Crl: c.CRL, Chain: c.Chain}
		if t := c.TestSerials; t != (membership.TestSerials{}) {
			out.TestSerials = &proto.TestSerials{Valid: t.Valid, Revoked: t.Revoked, Unused: t.Unused}
		}
		return out
	}
	return &proto.Application{
		Id: string(a.ID), Name: a.Name, Country: a.Country,
		Contacts: Each(a.Contacts, func(c membership.Contact) *proto.Contact {
			return &proto.Contact{Name: c.Name, Email: c.Email, Phone: c.Phone, Role: c.Role}
		}),
		MailDomains: a.MailDomains,
		Policies:    Each(a.Policies, FromPolicy),
		Directories: Each(a.Directories, func(d membership.Directory) *proto.Directory {
			return &proto.Directory{Url: d.URL, Base: d.Base, Dialect: d.Dialect, BindDn: d.BindDN, Credential: d.Credential, StartTls: d.StartTLS, TestMailbox: d.TestMailbox}
		}),
		Anchors: Each(a.Anchors, ca), Intermediates: Each(a.Intermediates, ca), CrossCertificates: a.CrossCertificates,
		CrossProfile: string(a.CrossProfile), DirectoryNames: a.DirectoryNames, ExcludedDomains: a.ExcludedDomains,
		RegisterNumber: a.RegisterNumber, Address: a.Address, Sector: a.Sector, Website: a.Website, Languages: a.Languages,
		Services: Each(a.Services, func(s membership.Service) string { return string(s) }),
		OneWay:   a.OneWay, Delivery: string(a.Delivery), Escrow: a.Escrow, Documents: Each(a.Documents, FromDocument),
	}
}

// ToApplication reads a message without judging it:
// [membership.Application.Validate] does that. No message becomes an empty
// application.
func ToApplication(a *proto.Application) membership.Application {
	ca := func(c *proto.CA) membership.CA {
		t := c.GetTestSerials()
		return membership.CA{
			Certificate: c.GetCertificate(), OCSP: c.GetOcsp(), CRL: c.GetCrl(), Chain: c.GetChain(),
			TestSerials: membership.TestSerials{Valid: t.GetValid(), Revoked: t.GetRevoked(), Unused: t.GetUnused()},
		}
	}
	return membership.Application{
		ID: membership.ID(a.GetId()), Name: a.GetName(), Country: a.GetCountry(),
		Contacts: Each(a.GetContacts(), func(c *proto.Contact) membership.Contact {
			return membership.Contact{Name: c.GetName(), Email: c.GetEmail(), Phone: c.GetPhone(), Role: c.GetRole()}
		}),
		MailDomains: a.GetMailDomains(),
		Policies:    Each(a.GetPolicies(), ToPolicy),
		Directories: Each(a.GetDirectories(), func(d *proto.Directory) membership.Directory {
			return membership.Directory{URL: d.GetUrl(), Base: d.GetBase(), Dialect: d.GetDialect(), BindDN: d.GetBindDn(), Credential: d.GetCredential(), StartTLS: d.GetStartTls(), TestMailbox: d.GetTestMailbox()}
		}),
		Anchors: Each(a.GetAnchors(), ca), Intermediates: Each(a.GetIntermediates(), ca), CrossCertificates: a.GetCrossCertificates(),
		CrossProfile: membership.CrossProfile(a.GetCrossProfile()), DirectoryNames: a.GetDirectoryNames(), ExcludedDomains: a.GetExcludedDomains(),
		RegisterNumber: a.GetRegisterNumber(), Address: a.GetAddress(), Sector: a.GetSector(), Website: a.GetWebsite(), Languages: a.GetLanguages(),
		Services: Each(a.GetServices(), func(s string) membership.Service { return membership.Service(s) }),
		OneWay:   a.GetOneWay(), Delivery: membership.Delivery(a.GetDelivery()), Escrow: a.GetEscrow(), Documents: Each(a.GetDocuments(), ToDocument),
	}
}

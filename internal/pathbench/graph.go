package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"time"

	"bridge.example/internal/wire/certext"
)

// graph is what the verifiers are measured on.
type graph struct {
	name  string
	pool  []*x509.Certificate // untrusted: all between the anchors and the leaves
	pairs []pair
}

// pair is one question: does leaf chain to anchor, under its policy?
type pair struct {
	anchor, leaf *x509.Certificate
	policy       x509.OID
}

// party is somebody with a name and a key.
type party struct {
	name  pkix.Name
	key   *ecdsa.PrivateKey
	keyID []byte
}

// drawing makes the certificates of one graph; the first error stays.
type drawing struct {
	serial int64
	from   time.Time
	curve  elliptic.Curve // of new keys
	err    error
}

func newDrawing(at time.Time) *drawing {
	return &drawing{from: at.AddDate(0, 0, -1), curve: elliptic.P256()}
}

func (d *drawing) party(organisation, common string) *party {
	key, err := ecdsa.GenerateKey(d.curve, rand.Reader)
	if err != nil {
		d.fail(err)
		return &party{}
	}
	bits, err := key.PublicKey.Bytes()
	d.fail(err)
	id := sha256.Sum256(bits) // RFC 7093 §2 (1)
	return &party{pkix.Name{Organization: []string{organisation}, CommonName: common}, key, id[:20]}
}

func (d *drawing) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// issue completes the template and signs it; nil after an error.
func (d *drawing) issue(by, to *party, c *x509.Certificate) *x509.Certificate {
	if d.err != nil {
		return nil
	}
	d.serial++
	c.SerialNumber, c.Subject, c.SubjectKeyId = big.NewInt(d.serial), to.name, to.keyID
	c.NotBefore, c.NotAfter = d.from, d.from.AddDate(1, 0, 0)
	der, err := x509.CreateCertificate(rand.Reader, c, &x509.Certificate{Subject: by.name, SubjectKeyId: by.keyID}, to.key.Public(), by.key)
	if err != nil {
		d.fail(err)
		return nil
	}
	signed, err := x509.ParseCertificate(der)
	d.fail(err)
	return signed
}

// authority is the template of a CA certificate under some policies.
func authority(policies ...x509.OID) *x509.Certificate {
	return &x509.Certificate{
		BasicConstraintsValid: true, IsCA: true, MaxPathLen: -1, Policies: policies,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// user is the template of a mail certificate.
func user(address string, policy x509.OID) *x509.Certificate {
	return &x509.Certificate{
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		EmailAddresses: []string{address}, Policies: []x509.OID{policy},
	}
}

// cross is the template of a cross-certificate from one policy domain to
// another, by the profile of the bridge: explicit policies, one mapping, no
// anyPolicy.
func (d *drawing) cross(from, to x509.OID, inhibitMapping int) *x509.Certificate {
	c := authority(from)
	add := func(e pkix.Extension, err error) {
		d.fail(err)
		c.ExtraExtensions = append(c.ExtraExtensions, e)
	}
	if !from.Equal(to) {
		add(certext.PolicyMappings([]certext.Mapping{{Issuer: from, Subject: to}}))
	}
	add(certext.PolicyConstraints{RequireExplicit: 0, InhibitMapping: inhibitMapping}.Extension())
	add(certext.InhibitAnyPolicy(0))
	return c
}

func (d *drawing) oid(arcs ...uint64) x509.OID {
	o, err := x509.OIDFromInts(append([]uint64{2, 999}, arcs...))
	d.fail(err)
	return o
}

// member is one organisation of a mesh.
type member struct {
	root, issuing *party
	anchor, leaf  *x509.Certificate
	policy        x509.OID
	domain        string
}

// mesh is members around bridges that are cross-certified with each other. The
// name constraints are on mail addresses alone, since the standard library
// refuses critical ones on directory names whatever the path.
func (d *drawing) mesh(members, bridges int) (g graph, all []member) {
	g.name = fmt.Sprintf("%d members, %d bridge%s", members, bridges, strings.Repeat("s", min(bridges-1, 1)))
	common := d.oid(1)
	hubs := make([]*party, bridges)
	for i := range hubs {
		hubs[i] = d.party("Bridges", fmt.Sprintf("Bridge %d", i))
	}
	for i, from := range hubs {
		for j, to := range hubs {
			if i != j {
				g.pool = append(g.pool, d.issue(from, to, d.cross(common, common, 1)))
			}
		}
	}
	for i := range members {
		org := fmt.Sprintf("Member %d", i)
		m := member{root: d.party(org, "Root"), issuing: d.party(org, "Issuing CA"), policy: d.oid(2, uint64(i)), domain: fmt.Sprintf("m%d.example", i)}
		hub, own := hubs[i%bridges], []string{m.domain, "." + m.domain}

		in := d.cross(common, m.policy, 0)
		in.PermittedDNSDomainsCritical, in.PermittedEmailAddresses = true, own
		out := d.cross(m.policy, common, 2)
		out.PermittedDNSDomainsCritical, out.ExcludedEmailAddresses = true, own
		issuing := authority(m.policy)
		issuing.MaxPathLen, issuing.MaxPathLenZero = 0, true

		m.anchor = d.issue(m.root, m.root, authority())
		m.leaf = d.issue(m.issuing, d.party(org, "User"), user("user@"+m.domain, m.policy))
		g.pool = append(g.pool, d.issue(hub, m.root, in), d.issue(m.root, hub, out), d.issue(m.root, m.issuing, issuing))
		all = append(all, m)
	}
	return g, all
}

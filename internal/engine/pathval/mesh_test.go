package pathval_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/wire/certext"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// entity is somebody with a name and a key.
type entity struct {
	name pkix.Name
	key  crypto.Signer
}

func newEntity(t testing.TB, organisation, common string) *entity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name := pkix.Name{CommonName: common}
	if organisation != "" {
		name.Organization = []string{organisation}
	}
	return &entity{name, key}
}

// rekeyed is the same name with another key.
func (e *entity) rekeyed(t testing.TB) *entity {
	other := newEntity(t, "", "")
	other.name = e.name
	return other
}

func (e *entity) keyID() []byte {
	spki, err := x509.MarshalPKIXPublicKey(e.key.Public())
	if err != nil {
		return nil
	}
	h := sha256.Sum256(spki)
	return h[:20]
}

// profile is what a certificate says; the zero value is an end entity's.
type profile struct {
	ca          bool
	pathLen     int // with ca: 0 means none, -1 means zero
	policies    []x509.OID
	mappings    []certext.Mapping
	constraints *certext.PolicyConstraints
	inhibitAny  *int
	names       *certext.NameConstraints
	emails      []string
	eku         []x509.ExtKeyUsage
	usage       x509.KeyUsage // 0: keyCertSign and cRLSign for a CA, for others digitalSignature
	until       time.Time
	serial      *big.Int
	extra       []pkix.Extension
}

func (e *entity) issueDER(t testing.TB, to *entity, p profile) []byte {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: p.serial, Subject: to.name, SubjectKeyId: to.keyID(),
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: p.until,
		BasicConstraintsValid: p.ca, IsCA: p.ca, KeyUsage: p.usage, ExtKeyUsage: p.eku,
		Policies: p.policies, EmailAddresses: p.emails, ExtraExtensions: p.extra,
	}
	if c.SerialNumber == nil {
		serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
		if err != nil {
			t.Fatal(err)
		}
		c.SerialNumber = serial
	}
	if c.NotAfter.IsZero() {
		c.NotAfter = now.AddDate(1, 0, 0)
	}
	if p.ca && p.pathLen != 0 {
		c.MaxPathLen, c.MaxPathLenZero = max(p.pathLen, 0), p.pathLen < 0
	}
	switch {
	case c.KeyUsage != 0:
	case p.ca:
		c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	default:
		c.KeyUsage = x509.KeyUsageDigitalSignature
	}
	add := func(x pkix.Extension, err error) {
		if err != nil {
			t.Fatal(err)
		}
		c.ExtraExtensions = append(c.ExtraExtensions, x)
	}
	if p.mappings != nil {
		add(certext.PolicyMappings(p.mappings))
	}
	if p.constraints != nil {
		add(p.constraints.Extension())
	}
	if p.inhibitAny != nil {
		add(certext.InhibitAnyPolicy(*p.inhibitAny))
	}
	if p.names != nil {
		add(p.names.Extension())
	}
	der, err := x509.CreateCertificate(rand.Reader, c, &x509.Certificate{Subject: e.name, SubjectKeyId: e.keyID()}, to.key.Public(), e.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (e *entity) issue(t testing.TB, to *entity, p profile) *pathval.Certificate {
	t.Helper()
	return parse(t, e.issueDER(t, to, p))
}

func parse(t testing.TB, der []byte) *pathval.Certificate {
	t.Helper()
	c, err := pathval.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func oid(t testing.TB, arcs ...uint64) x509.OID {
	t.Helper()
	o, err := x509.OIDFromInts(append([]uint64{2, 999}, arcs...))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// mesh is members around bridges that know each other, every cross-certificate
// by the profile of a bridge: explicit policies, one mapping each, no anyPolicy,
// names held to each member's own.
type mesh struct {
	bridges []*entity
	members []*member
	certs   []*pathval.Certificate // all that anybody can find
	policy  x509.OID               // of the bridges
}

type member struct {
	id             int
	bridge         int
	root, issuing  *entity
	rootCert, leaf *pathval.Certificate
	policy         x509.OID
	toBridge       *pathval.Certificate // bridge's, issued by root
	fromBridge     *pathval.Certificate // root's, issued by bridge
	issuingCert    *pathval.Certificate
}

func (m *member) domain() string { return fmt.Sprintf("m%d.example", m.id) }

func newMesh(t testing.TB, members, bridges int) *mesh {
	t.Helper()
	m := &mesh{policy: oid(t, 1)}
	for k := range bridges {
		b := newEntity(t, "", fmt.Sprintf("Bridge %d", k))
		m.bridges = append(m.bridges, b)
		m.certs = append(m.certs, b.issue(t, b, profile{ca: true}))
	}
	for i, from := range m.bridges {
		for j, to := range m.bridges {
			if i != j {
				m.certs = append(m.certs, from.issue(t, to, m.crossProfile(m.policy, m.policy, 1, nil)))
			}
		}
	}
	for i := range members {
		m.join(t, i)
	}
	return m
}

// crossProfile is that of a cross-certificate between from's domain and to's.
func (m *mesh) crossProfile(from, to x509.OID, inhibitMapping int, names *certext.NameConstraints) profile {
	zero := 0
	p := profile{
		ca: true, policies: []x509.OID{from}, inhibitAny: &zero, names: names,
		constraints: &certext.PolicyConstraints{RequireExplicit: 0, InhibitMapping: inhibitMapping},
	}
	if !from.Equal(to) {
		p.mappings = []certext.Mapping{{Issuer: from, Subject: to}}
	}
	return p
}

func (m *mesh) join(t testing.TB, i int) *member {
	t.Helper()
	org := fmt.Sprintf("Member %d", i)
	x := &member{
		id: i, bridge: i % len(m.bridges), policy: oid(t, 2, uint64(i)),
		root: newEntity(t, org, "Root"), issuing: newEntity(t, org, "Issuing CA"),
	}
	bridge := m.bridges[x.bridge]
	x.rootCert = x.root.issue(t, x.root, profile{ca: true})
	x.issuingCert = x.root.issue(t, x.issuing, profile{ca: true, pathLen: -1, policies: []x509.OID{x.policy}})
	own := m.names(t, x)
	x.fromBridge = bridge.issue(t, x.root, m.crossProfile(m.policy, x.policy, 0, &certext.NameConstraints{Permitted: own}))
	x.toBridge = x.root.issue(t, bridge, m.crossProfile(x.policy, m.policy, 2, &certext.NameConstraints{Excluded: own}))
	x.leaf = x.issuing.issue(t, newEntity(t, org, "User"), x.user())
	m.members = append(m.members, x)
	m.certs = append(m.certs, x.rootCert, x.issuingCert, x.fromBridge, x.toBridge)
	return x
}

func (m *member) user() profile {
	return profile{policies: []x509.OID{m.policy}, emails: []string{"user@" + m.domain()}, eku: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}}
}

func (m *mesh) names(t testing.TB, x *member) []certext.Subtree {
	return []certext.Subtree{
		{Form: certext.RFC822Name, Value: x.domain()}, {Form: certext.RFC822Name, Value: "." + x.domain()},
		{Form: certext.DirectoryName, Value: rdnSequence(t, pkix.Name{Organization: x.root.name.Organization})},
	}
}

func rdnSequence(t testing.TB, n pkix.Name) string {
	t.Helper()
	return string(marshal(t, n.ToRDNSequence()))
}

// inputs are those of a member who asks, demanding its own policy.
func (m *member) inputs() pathval.Inputs {
	return pathval.Inputs{
		Anchors: []*pathval.Certificate{m.rootCert}, At: now, Policies: []x509.OID{m.policy}, ExplicitPolicy: true,
		Purpose: pathval.EmailProtection(),
	}
}

package lab

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// create makes keys and certificates and writes them to the directory.
func (o *Organisation) create(now time.Time) error {
	now = now.UTC().Truncate(time.Second)
	policy, err := x509.ParseOID(o.Spec.Policy)
	if err != nil {
		return fmt.Errorf("parsing policy %q: %w", o.Spec.Policy, err)
	}
	keys, err := o.makeKeys()
	if err != nil {
		return err
	}
	ca := func(cn string, from, to time.Time) *x509.Certificate {
		return &x509.Certificate{
			Subject: o.subject(o.Spec.Name + " " + cn), NotBefore: from, NotAfter: to,
			BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	o.Root.key, o.Issuing.key = keys["root.key"], keys["issuing.key"]

	// CAs began long ago, so that an expired user was valid in his time.
	t := ca("Root CA", now.Add(-6*year), now.Add(12*year))
	der, err := x509.CreateCertificate(rand.Reader, t, t, o.Root.key.Public(), o.Root.key)
	if err != nil {
		return fmt.Errorf("signing the root: %w", err)
	}
	if err := o.Root.adopt(der); err != nil {
		return err
	}
	t = ca("Issuing CA", now.Add(-5*year), now.Add(8*year))
	t.MaxPathLenZero, t.Policies = true, []x509.OID{policy}
	if o.Issuing.Certificate, err = o.Root.issue(t, o.Issuing.key.Public()); err != nil {
		return err
	}
	if err := o.Issuing.adopt(o.Issuing.Certificate.Raw); err != nil {
		return err
	}
	if key, ok := keys["responder.key"]; ok {
		t := &x509.Certificate{
			Subject: o.subject(o.Spec.Name + " OCSP Responder"), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(2 * year),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
			Policies: []x509.OID{policy},
			// id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1): nobody need ask for its own status.
			ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: asn1.NullBytes}},
		}
		c, err := o.Issuing.issue(t, key.Public())
		if err != nil {
			return err
		}
		if err := writePEM(o.path("responder.pem"), "CERTIFICATE", c.Raw); err != nil {
			return err
		}
	}
	for _, u := range o.Spec.Users {
		if err := o.createUser(u, keys["users/"+u.Local+".key"].Public(), policy, now); err != nil {
			return err
		}
	}
	return o.savePorts()
}

func (o *Organisation) createUser(u UserSpec, key crypto.PublicKey, policy x509.OID, now time.Time) error {
	t := &x509.Certificate{
		Subject: o.subject(u.CN), NotBefore: now.Add(-30 * day), NotAfter: now.Add(2 * year),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, EmailAddresses: []string{o.Spec.mail(u)},
		BasicConstraintsValid: true, Policies: []x509.OID{policy},
	}
	if u.State == Expired {
		t.NotBefore, t.NotAfter = now.Add(-2*year), now.Add(-day)
	}
	c, err := o.Issuing.issue(t, key)
	if err != nil {
		return err
	}
	if u.State == Revoked {
		if err := o.Issuing.issued.revoke(c.SerialNumber, now.Add(-time.Hour)); err != nil {
			return err
		}
	}
	return writePEM(o.path("users/"+u.Local+".pem"), "CERTIFICATE", c.Raw)
}

func (o *Organisation) subject(cn string) pkix.Name {
	return pkix.Name{Country: []string{o.Spec.Country}, Organization: []string{o.Spec.Name}, CommonName: cn}
}

// adopt makes der the certificate of a and writes it.
func (a *Authority) adopt(der []byte) (err error) {
	if a.Certificate, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	return writePEM(a.File, "CERTIFICATE", der)
}

// issue signs t, with pointers to where status and issuer are found, and
// notes it in the index.
func (a *Authority) issue(t *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	t.OCSPServer, t.IssuingCertificateURL, t.CRLDistributionPoints = []string{a.OCSP}, []string{a.issuer}, []string{a.CRL}
	der, err := x509.CreateCertificate(rand.Reader, t, a.Certificate, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("signing %q: %w", t.Subject, err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return c, a.issued.add(c)
}

// makeKeys makes and writes all keys, side by side since RSA takes its time.
// They are named after their files.
func (o *Organisation) makeKeys() (map[string]crypto.Signer, error) {
	type job struct {
		file      string
		algorithm Algorithm
		bits      int
		key       crypto.Signer
	}
	jobs := []job{{"root.key", o.Spec.Key, 3072, nil}, {"issuing.key", o.Spec.Key, 3072, nil}}
	if o.Spec.DelegateOCSP {
		jobs = append(jobs, job{"responder.key", o.Spec.Key, 2048, nil})
	}
	for _, u := range o.Spec.Users {
		jobs = append(jobs, job{"users/" + u.Local + ".key", RSA, 2048, nil})
	}
	var group errgroup.Group
	for i := range jobs {
		group.Go(func() (err error) {
			j := &jobs[i]
			if j.algorithm == ECDSA {
				j.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			} else {
				j.key, err = rsa.GenerateKey(rand.Reader, j.bits)
			}
			if err != nil {
				return fmt.Errorf("making %s: %w", j.file, err)
			}
			der, err := x509.MarshalPKCS8PrivateKey(j.key)
			if err != nil {
				return err
			}
			return writePEM(o.path(j.file), "PRIVATE KEY", der)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	keys := map[string]crypto.Signer{}
	for _, j := range jobs {
		keys[j.file] = j.key
	}
	return keys, nil
}

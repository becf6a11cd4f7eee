package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/daemon"
	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/lab"
	"bridge.example/internal/setup/statedir"
	"bridge.example/internal/wire/cms"
	"bridge.example/internal/wire/ocsp"
	"bridge.example/signedlist"
)

// demoBase is the root of the demo's directory tree.
const demoBase = "o=bridge"

// journey is chapter 4 of the architecture, as Alice's mail client makes it. It
// uses what is public: the bridge's four addresses, and the two certificates
// Alice was given, the bridge CA's and her own root.
func (d *demo) journey(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	alpha, beta := d.members[0], d.members[1]
	alice, err := alpha.User("alice")
	if err != nil {
		return err
	}
	bob, err := beta.User("bob")
	if err != nil {
		return err
	}
	bridgeCA, err := d.bridge.ReadCertificate(statedir.BridgeCA)
	if err != nil {
		return err
	}
	d.printf("\n%s writes to %s\n\n", alice.Mail, bob.Mail)

	list, err := d.whoIsTrusted(ctx, bridgeCA)
	if err != nil {
		return err
	}
	d.printf("1. Who is trusted?    list %d, signed by the bridge, names %s\n", list.Number, strings.Join(names(list), " and "))

	found, err := lab.Lookup(ctx, "ldap://"+d.ports.directory(), demoBase, bob.Mail)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("the directory has no certificate of %s", bob.Mail)
	}
	d.printf("2. Which certificate? serial %x, from beta's directory through the bridge's\n", found[0].SerialNumber)

	path, err := d.whyTrust(ctx, alpha, found[0], bob.Mail)
	if err != nil {
		return err
	}
	d.printf("3. Why trust it?      %s\n", describe(path))

	status, err := d.stillGood(ctx, beta.Issuing.Certificate, found[0])
	if err != nil {
		return err
	}
	d.printf("4. Is it still good?  %s, says beta's responder through the bridge's\n", status)

	if err := d.sendMail(alice, bob, found[0]); err != nil {
		return err
	}
	d.printf("5. Encrypted to Bob, and Bob read it: %s\n", d.mailFile())
	return nil
}

func (d *demo) whoIsTrusted(ctx context.Context, bridgeCA *x509.Certificate) (*signedlist.List, error) {
	der, err := d.fetch(ctx, daemon.ListPath)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(bridgeCA)
	return signedlist.Open(der, roots, time.Now())
}

func names(l *signedlist.List) (out []string) {
	for _, e := range l.Entries {
		out = append(out, e.Member)
	}
	return out
}

// whyTrust builds the path from alpha's root over the bridge to leaf, under
// alpha's own policy.
func (d *demo) whyTrust(ctx context.Context, alpha *lab.Organisation, leaf *x509.Certificate, address string) (*pathval.Result, error) {
	var between []*pathval.Certificate
	for _, published := range []string{crosscert.IssuedToPath, crosscert.IssuedByBridgePath, crosscert.IssuedByPath("beta")} {
		der, err := d.fetch(ctx, published)
		if err != nil {
			return nil, err
		}
		certs, _, err := cms.ParseCertsOnly(der)
		if err != nil {
			return nil, fmt.Errorf("parsing %s: %w", published, err)
		}
		for _, c := range certs {
			parsed, err := pathval.ParseCertificate(c)
			if err != nil {
				return nil, err
			}
			between = append(between, parsed)
		}
	}
	anchor, err := pathval.ParseCertificate(alpha.Root.Certificate.Raw)
	if err != nil {
		return nil, err
	}
	end, err := pathval.ParseCertificate(leaf.Raw)
	if err != nil {
		return nil, err
	}
	policy, err := x509.ParseOID(alpha.Spec.Policy)
	if err != nil {
		return nil, err
	}
	return pathval.Build(ctx, end, pathval.NewPool(between...), pathval.Inputs{
		Anchors: []*pathval.Certificate{anchor}, At: time.Now(), Policies: []x509.OID{policy}, ExplicitPolicy: true,
		Purpose: pathval.EmailProtection(), Email: address,
	})
}

func describe(r *pathval.Result) string {
	out := r.Anchor.Subject.String()
	for _, c := range r.Path {
		out += " > " + c.Subject.String()
	}
	return out
}

// stillGood asks the virtual responder and believes it only if the answer
// proves itself.
func (d *demo) stillGood(ctx context.Context, issuer, cert *x509.Certificate) (string, error) {
	id, err := ocsp.NewCertID(crypto.SHA1, issuer, cert.SerialNumber)
	if err != nil {
		return "", err
	}
	body, err := ocsp.NewRequest(id).Encode()
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.ports.responder()+"/", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	der, err := do(req)
	if err != nil {
		return "", err
	}
	resp, err := ocsp.ParseResponse(der)
	if err != nil {
		return "", err
	}
	single, err := resp.Check(id, issuer, time.Now())
	if err != nil {
		return "", err
	}
	if single.Status != ocsp.Good {
		return "", fmt.Errorf("the certificate is %v", single.Status)
	}
	return single.Status.String(), nil
}

func (d *demo) mailFile() string { return filepath.Join(d.state, "mail.eml") }

const mailText = "Content-Type: text/plain; charset=utf-8\r\n\r\nDear Bob,\r\nwe have never met, and yet only you can read this.\r\nAlice\r\n"

// sendMail encrypts as Alice, for herself too, and decrypts as Bob.
func (d *demo) sendMail(alice, bob lab.User, found *x509.Certificate) error {
	sealed, err := cms.Encrypt([]byte(mailText), []*x509.Certificate{found, alice.Certificate})
	if err != nil {
		return err
	}
	var mail strings.Builder
	fmt.Fprintf(&mail, "From: %s\r\nTo: %s\r\nSubject: Over the bridge\r\nMIME-Version: 1.0\r\n", alice.Mail, bob.Mail)
	mail.WriteString("Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for text := base64.StdEncoding.EncodeToString(sealed); text != ""; {
		n := min(64, len(text))
		mail.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	if err := writeFile(d.mailFile(), []byte(mail.String())); err != nil {
		return err
	}
	keyPEM, err := os.ReadFile(bob.KeyFile)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return fmt.Errorf("%s holds no key", bob.KeyFile)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return err
	}
	decrypter, ok := key.(crypto.Decrypter)
	if !ok {
		return fmt.Errorf("%s cannot decrypt", bob.KeyFile)
	}
	opened, err := cms.Decrypt(sealed, bob.Certificate, decrypter)
	if err != nil {
		return err
	}
	if string(opened) != mailText {
		return fmt.Errorf("decrypting as Bob: got %q", opened)
	}
	return nil
}

// fetch gets what the bridge publishes.
func (d *demo) fetch(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.ports.repository()+path, nil)
	if err != nil {
		return nil, err
	}
	return do(req)
}

func do(req *http.Request) ([]byte, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", req.URL, resp.Status)
	}
	return b, nil
}

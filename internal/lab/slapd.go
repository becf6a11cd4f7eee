package lab

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/go-ldap/ldap/v3"

	"bridge.example/internal/fault"
)

//go:embed activedirectory.schema
var activeDirectorySchema []byte

// Debian's places for schemas and modules.
var slapdConf = template.Must(template.New("").Parse(`
{{- range .Schemas}}include "{{.}}"
{{end -}}
modulepath /usr/lib/ldap
moduleload back_mdb
loglevel none
TLSCertificateFile "{{.Dir}}/tls.pem"
TLSCertificateKeyFile "{{.Dir}}/tls.key"
database mdb
suffix "{{.Suffix}}"
directory "{{.Dir}}"
maxsize 67108864
dbnosync
{{if .BindDN -}}
rootdn "{{.BindDN}}"
rootpw "{{.Password}}"
require authc
access to * by users read by anonymous auth
{{- else -}}
access to * by * read
{{- end}}
`))

// StartSlapd runs OpenLDAP's slapd with the entries of the simulated directory,
// under the schema of the organisation's dialect, until ctx ends or the peer is
// closed. Unavailable when slapd is not installed or does not start.
//
// Under [ActiveDirectory] it knows userCertificate only without ";binary" and
// refuses anonymous searches, with strongerAuthRequired; it sends no reference.
//
// It knows StartTLS, with a certificate for 127.0.0.1 from the organisation's root.
func (o *Organisation) StartSlapd(ctx context.Context) (*Peer, error) {
	slapd, err := lookPath("slapd", "slapd")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "lab-slapd-")
	if err != nil {
		return nil, err
	}
	port, err := o.prepareSlapd(ctx, slapd, dir)
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("preparing slapd for %s: %w", o.Spec.ID, err)
	}
	url := fmt.Sprintf("ldap://127.0.0.1:%d", port)
	ready := func(context.Context) error {
		c, err := ldap.DialURL(url)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Search(&ldap.SearchRequest{Filter: "(objectClass=*)", Attributes: []string{"1.1"}})
		return err
	}
	return startPeer(ctx, dir, port, ready, slapd, "-d", "0", "-h", url, "-f", filepath.Join(dir, "slapd.conf"))
}

// prepareSlapd fills dir with configuration and data.
func (o *Organisation) prepareSlapd(ctx context.Context, slapd, dir string) (port int, err error) {
	schemas := []string{"/etc/ldap/schema/core.schema", "/etc/ldap/schema/cosine.schema", "/etc/ldap/schema/inetorgperson.schema"}
	if o.Spec.Dialect == ActiveDirectory {
		schemas = []string{filepath.Join(dir, "activedirectory.schema")}
		if err := os.WriteFile(schemas[0], activeDirectorySchema, 0o600); err != nil {
			return 0, err
		}
	}
	var conf bytes.Buffer
	if err := slapdConf.Execute(&conf, struct {
		Spec
		Dir     string
		Schemas []string
	}{o.Spec, dir, schemas}); err != nil {
		return 0, err
	}
	if err := o.certifyServer(dir); err != nil {
		return 0, err
	}
	entries, err := o.entries()
	if err != nil {
		return 0, err
	}
	for name, content := range map[string][]byte{"slapd.conf": conf.Bytes(), "data.ldif": ldif(entries)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return 0, err
		}
	}
	// "slapd -T add" is slapadd.
	out, err := exec.CommandContext(ctx, slapd, "-T", "add", "-q", "-f", filepath.Join(dir, "slapd.conf"),
		"-l", filepath.Join(dir, "data.ldif")).CombinedOutput()
	if err != nil {
		return 0, fault.New(fault.Unavailable, "loading entries: %w: %s", err, out)
	}
	return freePort()
}

// certifyServer writes a certificate for 127.0.0.1, and its key, to dir.
func (o *Organisation) certifyServer(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: o.subject("Directory of " + o.Spec.Name),
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(year), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, o.Root.Certificate, key.Public(), o.Root.key)
	if err != nil {
		return fmt.Errorf("signing for the directory: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(dir, "tls.key"), "PRIVATE KEY", der); err != nil {
		return err
	}
	return writePEM(filepath.Join(dir, "tls.pem"), "CERTIFICATE", cert)
}

// ldif writes entries as RFC 2849, every value in base64.
func ldif(entries []entry) []byte {
	var b strings.Builder
	line := func(name, value string) {
		fmt.Fprintf(&b, "%s:: %s\n", name, base64.StdEncoding.EncodeToString([]byte(value)))
	}
	for _, e := range entries {
		line("dn", e.name)
		for _, a := range e.attributes {
			for _, v := range a.values {
				line(a.description, v)
			}
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

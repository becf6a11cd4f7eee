package signedlist_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridge.example/signedlist"
)

const schemas = "../../shared/vectors/ts119612"

// program runs one with files in dir.
func program(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "XML_CATALOG_FILES=catalog.xml")
	out, err := c.CombinedOutput()
	return string(out), err
}

// TestXMLSec1Verifies: xmlsec1 accepts lists, and no other bytes where the
// signature has a say. In the parts that no XML signature covers, such as the
// certificates beside it, only OpenXML notices.
func TestXMLSec1Verifies(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS=1 runs this against xmlsec1")
	}
	b := newXMLBench(t)
	b.publishXML(t, entry(t, "alpha"), entry(t, "beta"))
	b.now = b.now.Add(time.Hour)
	document, _ := b.publishXML(t, entry(t, "beta"))
	dir := t.TempDir()
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.bridge.Cert.Raw})
	if err := os.WriteFile(filepath.Join(dir, "root.pem"), root, 0o600); err != nil {
		t.Fatal(err)
	}
	verify := func(document []byte) (string, error) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "list.xml"), document, 0o600); err != nil {
			t.Fatal(err)
		}
		return program(t, dir, "xmlsec1", "--verify", "--trusted-pem", "root.pem", "--verification-time", b.now.Format(time.DateTime),
			"--id-attr:Id", "http://uri.etsi.org/01903/v1.3.2#:SignedProperties", "list.xml")
	}
	if out, err := verify(document); err != nil || !strings.Contains(out, "SignedInfo References (ok/all): 2/2") {
		t.Errorf("%v\n%s", err, out)
	}
	at := func(mark string) int { return bytes.LastIndex(document, []byte(mark)) }
	for _, part := range [][2]int{
		{0, at("<ds:Signature ")},
		{at("<ds:CanonicalizationMethod"), at("</ds:SignatureValue>") - 4},
		{at("<xades:SignedSignatureProperties"), at("<ds:DigestMethod")},
	} {
		for i := part[0]; i < part[1]; i += 1 + (part[1]-part[0])/25 {
			changed := bytes.Clone(document)
			changed[i] ^= 1
			if out, err := verify(changed); err == nil {
				t.Errorf("xmlsec1 accepted byte %d changed in %s\n%s", i, changed[i-20:i+20], out)
			}
		}
	}
}

// TestXMLSchema: lists are as the schemas of TS 119 612 and XAdES say.
func TestXMLSchema(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS=1 runs this against xmllint")
	}
	folder, err := filepath.Abs(schemas)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(folder); err != nil {
		t.Skip("no schemas of TS 119 612 beside the repository")
	}
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	catalog, schema := `<catalog xmlns="urn:oasis:names:tc:entity:xmlns:xml:catalog">`, `<schema xmlns="http://www.w3.org/2001/XMLSchema">`
	for _, s := range []struct{ space, file, uri string }{
		{"http://www.w3.org/XML/1998/namespace", "xml.xsd", "http://www.w3.org/2001/xml.xsd"},
		{"http://www.w3.org/2000/09/xmldsig#", "xmldsig-core-schema.xsd", "http://www.w3.org/TR/2008/REC-xmldsig-core-20080610/xmldsig-core-schema.xsd"},
		{"http://uri.etsi.org/01903/v1.3.2#", "XAdES01903v132-202407.xsd", "https://uri.etsi.org/01903/v1.3.2/XAdES01903v132-201601.xsd"},
		{"http://uri.etsi.org/02231/v2#", "ts_119612v020401_xsd.xsd", "https://forge.etsi.org/rep/esi/x19_612_trusted_lists/-/raw/v2.4.1/19612_xsd.xsd"},
	} {
		catalog += fmt.Sprintf(`<uri name=%q uri="file://%s/%s"/><system systemId=%q uri="file://%s/%s"/>`, s.uri, folder, s.file, s.uri, folder, s.file)
		schema += fmt.Sprintf(`<import namespace=%q schemaLocation=%q/>`, s.space, s.uri)
	}
	write("catalog.xml", catalog+"</catalog>")
	write("all.xsd", schema+"</schema>")
	b := newXMLBench(t)
	validate := func(document []byte) (string, error) {
		t.Helper()
		write("list.xml", string(document))
		return program(t, dir, "xmllint", "--nonet", "--noout", "--schema", "all.xsd", "list.xml")
	}
	alpha, beta := entry(t, "alpha"), entry(t, "beta")
	beta.Levels = beta.Policies
	var document []byte
	for i, entries := range [][]signedlist.Entry{nil, {alpha, beta}, {beta}, {alpha}} {
		b.now = b.now.Add(time.Hour)
		document, _ = b.publishXML(t, entries...)
		if out, err := validate(document); err != nil {
			t.Errorf("list %d: %v\n%s\n%s", i+1, err, out, document)
		}
	}
	for _, name := range []string{"HistoricalInformationPeriod", "xades:SigningTime", "ServiceStatus"} {
		if out, err := validate(bytes.ReplaceAll(document, []byte(name), []byte(name+"x"))); err == nil {
			t.Errorf("xmllint accepts a list without %s\n%s", name, out)
		}
	}
}

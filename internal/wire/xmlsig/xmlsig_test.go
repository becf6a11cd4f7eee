package xmlsig_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/xml"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/wire/xmlsig"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const document = `<list xmlns="urn:list" a="1 &amp; &quot;2&quot;" xml:lang="en"><entry>Ärger &lt;&amp;&gt; Müller</entry>` +
	`<p:entry xmlns:p="urn:other" p:x="&#x9;"></p:entry></list>`

// issue makes a certificate with key, self-signed when by is nil.
func issue(t testing.TB, key crypto.Signer, by *xmlsig.Signer) *xmlsig.Signer {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(noon.Unix()), Subject: pkix.Name{CommonName: "root"},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour), IsCA: by == nil, BasicConstraintsValid: true,
	}
	s := &xmlsig.Signer{Key: key}
	parent, parentKey := template, key
	if by != nil {
		template.Subject.CommonName = "signer"
		parent, parentKey = by.Cert, by.Key
		s.Chain = []*x509.Certificate{by.Cert}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	if s.Cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return s
}

func newKey(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSA(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signers has one of each kind of key, below its root.
func signers(t testing.TB) map[string]*xmlsig.Signer {
	t.Helper()
	root := issue(t, newKey(t, elliptic.P256()), nil)
	return map[string]*xmlsig.Signer{
		"RSA":   issue(t, newRSA(t), root),
		"P-256": issue(t, newKey(t, elliptic.P256()), root),
		"P-384": issue(t, newKey(t, elliptic.P384()), root),
		"P-521": issue(t, newKey(t, elliptic.P521()), root),
	}
}

func sign(t testing.TB, s *xmlsig.Signer) []byte {
	t.Helper()
	out, err := xmlsig.Sign([]byte(document), *s, noon)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSignedIsVerified(t *testing.T) {
	for name, s := range signers(t) {
		v, err := xmlsig.Verify(sign(t, s))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if string(v.Content()) != document || !v.Signer.Equal(s.Cert) || len(v.Others) != 0 || !v.SigningTime.Equal(noon) {
			t.Errorf("%s: got %+v", name, v)
		}
	}
}

// TestAnyChangedByte: there is no byte that could be another.
func TestAnyChangedByte(t *testing.T) {
	signed := sign(t, signers(t)["P-256"])
	for i := range signed {
		changed := bytes.Clone(signed)
		changed[i] ^= 1 << (i % 7)
		if _, err := xmlsig.Verify(changed); err == nil {
			t.Fatalf("byte %d changed to %q was not noticed", i, changed[i])
		}
		if _, err := xmlsig.Verify(append(bytes.Clone(signed[:i]), signed[i+1:]...)); err == nil {
			t.Fatalf("that byte %d is missing was not noticed", i)
		}
	}
}

// TestWrapping: what is signed stays in its place, alone.
func TestWrapping(t *testing.T) {
	s := signers(t)["P-256"]
	signed := string(sign(t, s))
	start, end := strings.Index(signed, "<ds:Signature "), strings.LastIndex(signed, "</list>")
	signature := signed[start:end]
	// The document that is left is the one that was signed, but there is none.
	inAttribute, err := xmlsig.Sign([]byte(`<list a=""></list>`), *s, noon)
	if err != nil {
		t.Fatal(err)
	}
	moved := string(inAttribute[len(`<list a="">`) : len(inAttribute)-len("</list>")])
	for name, doc := range map[string]string{
		"in a start tag":              "<list" + moved + ` a=""></list>`,
		"nothing":                     "",
		"no signature":                document,
		"a signature alone":           signature,
		"two signatures":              signed[:end] + signature + "</list>",
		"first child":                 strings.Replace(document, "<entry>", signature+"<entry>", 1),
		"below another":               strings.Replace(document, "</entry>", signature+"</entry>", 1),
		"in an attribute":             `<list a="` + moved + `"></list>`,
		"before other text":           signed[:end] + "more</list>",
		"before another element":      signed[:end] + "<more></more></list>",
		"inside another root":         "<other>" + signed + "</other>",
		"the old document in the new": `<list xmlns="urn:list"><entry>bad</entry>` + strings.Replace(signature, "<ds:Object>", "<ds:Object>"+document+"</ds:Object><ds:Object>", 1) + "</list>",
		"another document":            strings.Replace(signed, "Müller", "Mueller", 1),
		"properties twice":            strings.Replace(signed, "</ds:Object>", "</ds:Object><ds:Object></ds:Object>", 1),
		"an XML declaration":          `<?xml version="1.0"?>` + signed,
		"a comment":                   strings.Replace(signed, "<entry>", "<!-- --><entry>", 1),
		"a document type":             `<!DOCTYPE list>` + signed,
		"a line after it":             signed + "\n",
		"a certificate more":          strings.Replace(signed, "<ds:X509Certificate>", "<ds:X509Certificate></ds:X509Certificate><ds:X509Certificate>", 1),
	} {
		if v, err := xmlsig.Verify([]byte(doc)); err == nil {
			t.Errorf("%s: accepted as %s", name, v.Content())
		} else if !errors.Is(err, xmlsig.ErrFormat) && !errors.Is(err, xmlsig.ErrSignature) {
			t.Errorf("%s: %v is of no kind", name, err)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	s := signers(t)["P-256"]
	for name, doc := range map[string]string{
		"not canonical":    `<list a='1'></list>`,
		"text at its end":  `<list><entry></entry>text</list>`,
		"nothing":          ``,
		"an identifier":    `<list Id="properties"></list>`,
		"an xml:id":        `<list xml:id="properties"></list>`,
		"a signature":      string(sign(t, s)),
		"an element of it": `<list><ds:Object xmlns:ds="http://www.w3.org/2000/09/xmldsig#"></ds:Object></list>`,
	} {
		if out, err := xmlsig.Sign([]byte(doc), *s, noon); !errors.Is(err, xmlsig.ErrFormat) {
			t.Errorf("%s: got %s, %v, want ErrFormat", name, out, err)
		}
	}
}

// TestReader has one document for each rule of canonical form.
func TestReader(t *testing.T) {
	for name, doc := range map[string]string{
		"elements":                 `<a><b></b><b>x</b></a>`,
		"a default namespace":      `<a xmlns="urn:a"><b></b></a>`,
		"declared again where new": `<a xmlns="urn:a"><b xmlns="urn:b"></b></a>`,
		"siblings":                 `<a><p:b xmlns:p="urn:p"></p:b><p:b xmlns:p="urn:p"></p:b></a>`,
		"order":                    `<a xmlns="urn:a" xmlns:p="urn:p" xmlns:q="urn:b" a="" b="" q:a="" p:a=""></a>`,
		"references":               `<a b="&amp;&lt;&quot;&#x9;&#xA;&#xD;>">&amp;&lt;&gt;&#xD;"</a>`,
		"deep":                     strings.Repeat("<a>", 32) + strings.Repeat("</a>", 32),
	} {
		if err := read(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, doc := range map[string]string{
		"nothing":              ``,
		"text":                 `x`,
		"an end":               `</a>`,
		"no end":               `<a>`,
		"no end of the tag":    `<a`,
		"another end":          `<a></b>`,
		"a longer end":         `<a></aa>`,
		"two roots":            `<a></a><b></b>`,
		"space before":         ` <a></a>`,
		"an empty element tag": `<a/>`,
		"two spaces":           `<a  b=""></a>`,
		"single quotes":        `<a b=''></a>`,
		"space around =":       `<a b =""></a>`,
		"space at the end":     `<a ></a>`,
		"space in the end tag": `<a></a >`,
		"attributes unordered": `<a c="" b=""></a>`,
		"an attribute twice":   `<a b="" b=""></a>`,
		"twice by namespace":   `<a xmlns:p="urn:p" xmlns:q="urn:p" p:b="" q:b=""></a>`,
		"declared late":        `<p:a b="" xmlns:p="urn:p"></p:a>`,
		"declared unordered":   `<q:a xmlns:q="urn:q" xmlns:p="urn:p" p:b=""></q:a>`,
		"declared in vain":     `<a xmlns:p="urn:p"></a>`,
		"default in vain":      `<p:a xmlns="urn:a" xmlns:p="urn:p"></p:a>`,
		"declared again":       `<a xmlns="urn:a"><b xmlns="urn:a"></b></a>`,
		"not declared":         `<p:a></p:a>`,
		"out of scope":         `<a><p:b xmlns:p="urn:p"></p:b><p:b></p:b></a>`,
		"undeclared":           `<a xmlns="urn:a"><b xmlns=""></b></a>`,
		"xml declared":         `<a xmlns:xml="http://www.w3.org/XML/1998/namespace" xml:b=""></a>`,
		"xmlns declared":       `<a xmlns:xmlns="urn:a"></a>`,
		"CDATA":                `<a><![CDATA[x]]></a>`,
		"an entity":            `<a>&x;</a>`,
		"a number":             `<a>&#65;</a>`,
		"a quote referred to":  `<a>&quot;</a>`,
		"a raw >":              `<a>></a>`,
		"a raw return":         "<a>\r</a>",
		"a raw tab":            "<a b=\"\t\"></a>",
		"a > referred to":      `<a b="&gt;"></a>`,
		"a raw < in a value":   `<a b="<"></a>`,
		"a NUL":                "<a>\x00</a>",
		"not UTF-8":            "<a>\xff</a>",
		"not a name":           `<1></1>`,
		"two colons":           `<a:b:c></a:b:c>`,
		"too deep":             strings.Repeat("<a>", 33) + strings.Repeat("</a>", 33),
		"too long a name":      "<" + strings.Repeat("a", 200) + "></" + strings.Repeat("a", 200) + ">",
	} {
		if err := read(doc); !errors.Is(err, xmlsig.ErrFormat) {
			t.Errorf("%s: got %v, want ErrFormat", name, err)
		}
	}
}

func read(doc string) error {
	for r := xmlsig.NewReader([]byte(doc)); ; {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// FuzzReader: what is read, the standard library reads alike.
func FuzzReader(f *testing.F) {
	f.Add([]byte(document))
	f.Add([]byte(`<p:a xmlns:p="urn:p" xml:lang="en">&amp;<b xmlns="urn:b"></b></p:a>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if read(string(doc)) != nil {
			return
		}
		d := xml.NewDecoder(bytes.NewReader(doc))
		for r := xmlsig.NewReader(doc); ; {
			got, err := r.Next()
			want, wantErr := d.Token()
			if errors.Is(err, io.EOF) && errors.Is(wantErr, io.EOF) {
				return
			}
			if wantErr != nil {
				t.Fatalf("%q: encoding/xml: %v", doc, wantErr)
			}
			switch w := want.(type) {
			case xml.StartElement:
				if got.Kind != xmlsig.Start || got.Space != w.Name.Space || got.Name != w.Name.Local {
					t.Fatalf("%q: got %+v, want %+v", doc, got, w)
				}
				for _, a := range w.Attr {
					if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
						continue
					}
					if a.Name.Space == "xml" {
						a.Name.Space = "http://www.w3.org/XML/1998/namespace"
					}
					if len(got.Attr) == 0 || got.Attr[0] != (xmlsig.Attr{Space: a.Name.Space, Name: a.Name.Local, Value: a.Value}) {
						t.Fatalf("%q: got %+v, want %+v", doc, got.Attr, a)
					}
					got.Attr = got.Attr[1:]
				}
			case xml.EndElement:
				if got.Kind != xmlsig.End || got.Space != w.Name.Space || got.Name != w.Name.Local {
					t.Fatalf("%q: got %+v, want %+v", doc, got, w)
				}
			case xml.CharData:
				if got.Kind != xmlsig.Text || string(got.Text) != string(w) {
					t.Fatalf("%q: got %+v, want %q", doc, got, w)
				}
			default:
				t.Fatalf("%q: unexpected %T", doc, w)
			}
		}
	})
}

// FuzzVerify: what is verified is what could have been signed.
func FuzzVerify(f *testing.F) {
	s := signers(f)["P-256"]
	f.Add(sign(f, s))
	f.Add([]byte(document))
	f.Fuzz(func(t *testing.T, doc []byte) {
		v, err := xmlsig.Verify(doc)
		if err != nil {
			return
		}
		if again, err := xmlsig.Sign(v.Content(), *s, noon); err != nil || bytes.Equal(v.Content(), doc) {
			t.Errorf("verified %q, signed %q, %v", doc, again, err)
		}
	})
}

func TestEscapeText(t *testing.T) {
	if got, want := xmlsig.EscapeText("<&>\r\x00\xff\ufffeä"), "&lt;&amp;&gt;&#xD;\ufffd\ufffd\ufffdä"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

const maxApplicationBytes = 256 << 10

// applicationFile is an application as people write it: as the register keeps
// it, but with files in place of certificates and documents.
type applicationFile struct {
	ID          membership.ID          `yaml:"id"`
	Name        string                 `yaml:"name"`
	Country     string                 `yaml:"country"`
	Contacts    []membership.Contact   `yaml:"contacts"`
	MailDomains []string               `yaml:"mail_domains"`
	Policies    []membership.Policy    `yaml:"policies"`
	Directories []membership.Directory `yaml:"directories"`

	// Paths are relative to the application's own.
	Anchors           []caFile `yaml:"anchors"`
	Intermediates     []caFile `yaml:"intermediates"`
	CrossCertificates []string `yaml:"cross_certificates"`

	DirectoryNames  []string                `yaml:"directory_names"`
	ExcludedDomains []string                `yaml:"excluded_domains"`
	CrossProfile    membership.CrossProfile `yaml:"cross_profile"`

	RegisterNumber string   `yaml:"register_number"`
	Address        string   `yaml:"address"`
	Sector         string   `yaml:"sector"`
	Website        string   `yaml:"website"`
	Languages      []string `yaml:"languages"`

	Services  []membership.Service `yaml:"services"`
	OneWay    bool                 `yaml:"one_way"`
	Delivery  membership.Delivery  `yaml:"delivery"`
	Escrow    bool                 `yaml:"escrow"`
	Documents []documentFile       `yaml:"documents"`
}

type caFile struct {
	Certificate string   `yaml:"certificate"`
	OCSP        []string `yaml:"ocsp"`
	CRL         []string `yaml:"crl"`
	Chain       []string `yaml:"chain"`

	TestSerials membership.TestSerials `yaml:"test_serials"`
}

type documentFile struct {
	Kind    membership.DocumentKind `yaml:"kind"`
	File    string                  `yaml:"file"`
	Title   string                  `yaml:"title"`
	Version string                  `yaml:"version"`
	Date    string                  `yaml:"date"`
	OID     string                  `yaml:"oid"`
	Link    string                  `yaml:"link"`
}

// draft is an application and the content of the documents that it names.
type draft struct {
	*proto.Application
	documents []evidence
}

// readApplication reads and checks a whole application: see readDraft.
func readApplication(path string) (*proto.Application, error) {
	d, err := readDraft(path, false)
	return d.Application, err
}

// readDraft reads and checks the application in the file path, of which mail
// domains, policies and anchors may be missing when it is partial. Mistakes of
// YAML end the reading at the first; after that, everything that can be found
// wrong without asking the daemon is reported at once.
func readDraft(path string, partial bool) (draft, error) {
	source, err := readFile(path, maxApplicationBytes)
	if err != nil {
		return draft{}, err
	}
	var f applicationFile
	d := yaml.NewDecoder(bytes.NewReader(source), yaml.Strict())
	if err := d.Decode(&f); errors.Is(err, io.EOF) {
		return draft{}, fault.New(fault.Invalid, "%s: nothing in it", path)
	} else if err != nil {
		return draft{}, fault.New(fault.Invalid, "%s: %s", path, yaml.FormatError(err, false, true))
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return draft{}, fault.New(fault.Invalid, "%s: want one application in a file", path)
	}
	c := &complaints{source: source}
	dir := filepath.Dir(path)
	a := membership.Application{
		ID: f.ID, Name: f.Name, Country: f.Country, Contacts: f.Contacts, MailDomains: f.MailDomains,
		Policies: f.Policies, Directories: f.Directories, CrossProfile: f.CrossProfile,
		DirectoryNames: f.DirectoryNames, ExcludedDomains: f.ExcludedDomains,
		Anchors: c.cas(dir, "anchors", f.Anchors), Intermediates: c.cas(dir, "intermediates", f.Intermediates),
		RegisterNumber: f.RegisterNumber, Address: f.Address, Sector: f.Sector, Website: f.Website, Languages: f.Languages,
		Services: f.Services, OneWay: f.OneWay, Delivery: f.Delivery, Escrow: f.Escrow,
	}
	documents := c.documents(dir, f.Documents)
	for _, e := range documents {
		a.Documents = append(a.Documents, e.Document)
	}
	for i, name := range f.CrossCertificates {
		a.CrossCertificates = append(a.CrossCertificates, c.certificate(dir, fmt.Sprintf("cross_certificates[%d]", i), name))
	}
	a.Normalize()
	validate := a.Validate
	if partial {
		validate = a.ValidateDraft
	}
	c.addAll(validate())
	if len(c.list) > 0 {
		return draft{}, fault.New(fault.Invalid, "%s cannot be accepted:\n%s", path, c)
	}
	return draft{convert.FromApplication(a), documents}, nil
}

func (c *complaints) cas(dir, field string, files []caFile) (out []membership.CA) {
	for i, f := range files {
		der := c.certificate(dir, fmt.Sprintf("%s[%d].certificate", field, i), f.Certificate)
		ca := membership.CA{Certificate: der, OCSP: f.OCSP, CRL: f.CRL, TestSerials: f.TestSerials}
		for j, name := range f.Chain {
			ca.Chain = append(ca.Chain, c.certificate(dir, fmt.Sprintf("%s[%d].chain[%d]", field, i, j), name))
		}
		out = append(out, ca)
	}
	return out
}

func (c *complaints) documents(dir string, files []documentFile) (out []evidence) {
	for i, f := range files {
		e := evidence{Document: membership.Document{Kind: f.Kind, Hash: sha256Hex(nil), Name: "none"}}
		var err error
		if f.File == "" {
			err = errors.New("missing")
		} else {
			e, err = readEvidence(beside(dir, f.File), f.Kind)
		}
		if err != nil {
			c.add(fmt.Sprintf("documents[%d].file", i), err.Error())
		}
		e.Title, e.Version, e.Date, e.OID, e.Link = f.Title, f.Version, f.Date, f.OID, f.Link
		out = append(out, e)
	}
	return out
}

// beside is a file named in an application that lies in dir.
func beside(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// certificate returns the DER of the certificate in a file named in path.
func (c *complaints) certificate(dir, path, name string) []byte {
	if name == "" {
		c.add(path, "missing")
		return nil
	}
	cert, err := readCertificate(beside(dir, name))
	if err != nil {
		c.add(path, err.Error())
		return nil
	}
	return cert.Raw
}

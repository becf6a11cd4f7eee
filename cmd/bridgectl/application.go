package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

const maxApplicationBytes = 256 << 10

// applicationTemplate is an application with every key explained.
//
//go:embed application.yaml
var applicationTemplate string

// applicationFile is an application as an officer writes it: as the register
// keeps it, but with files in place of certificates.
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
}

type caFile struct {
	Certificate string   `yaml:"certificate"`
	OCSP        []string `yaml:"ocsp"`
	CRL         []string `yaml:"crl"`

	TestSerials membership.TestSerials `yaml:"test_serials"`
}

// readApplication reads and checks the application in the file path. Mistakes
// of YAML end the reading at the first; after that, everything that can be
// found wrong without asking the daemon is reported at once.
func readApplication(path string) (*proto.Application, error) {
	source, err := readFile(path, maxApplicationBytes)
	if err != nil {
		return nil, err
	}
	var f applicationFile
	d := yaml.NewDecoder(bytes.NewReader(source), yaml.Strict())
	if err := d.Decode(&f); errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Invalid, "%s: nothing in it", path)
	} else if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %s", path, yaml.FormatError(err, false, true))
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Invalid, "%s: want one application in a file", path)
	}
	c := &complaints{source: source}
	dir := filepath.Dir(path)
	a := membership.Application{
		ID: f.ID, Name: f.Name, Country: f.Country, Contacts: f.Contacts, MailDomains: f.MailDomains,
		Policies: f.Policies, Directories: f.Directories, CrossProfile: f.CrossProfile,
		DirectoryNames: f.DirectoryNames, ExcludedDomains: f.ExcludedDomains,
		Anchors: c.cas(dir, "anchors", f.Anchors), Intermediates: c.cas(dir, "intermediates", f.Intermediates),
	}
	for i, name := range f.CrossCertificates {
		a.CrossCertificates = append(a.CrossCertificates, c.certificate(dir, fmt.Sprintf("cross_certificates[%d]", i), name))
	}
	a.Normalize()
	c.addAll(a.Validate())
	if len(c.list) > 0 {
		return nil, fault.New(fault.Invalid, "%s cannot be accepted:\n%s", path, c)
	}
	return convert.FromApplication(a), nil
}

// complaints gathers what is wrong with an application, and where.
type complaints struct {
	source []byte
	list   []problem
}

type problem struct {
	line       int // 0: nowhere in particular
	path, text string
}

func (c *complaints) add(path, text string) {
	c.list = append(c.list, problem{c.line(path), path, text})
}

// String is one line for each, in the order of the file.
func (c *complaints) String() string {
	slices.SortStableFunc(c.list, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	var lines []string
	for _, p := range c.list {
		s := p.path + ": " + p.text
		if p.line > 0 {
			s = fmt.Sprintf("line %d: %s", p.line, s)
		}
		lines = append(lines, s)
	}
	return strings.Join(lines, "\n")
}

// complaint is one of those that [membership.Application.Validate] joins.
var complaint = regexp.MustCompile(`^([a-z_]+(?:\[\d+\])?(?:\.[a-z_]+)?(?:\[\d+\])?): (.*)`)

// addAll takes apart what Validate found, and leaves out what follows from
// complaints already made.
func (c *complaints) addAll(err error) {
	if err == nil {
		return
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(err.Error(), "application: "), "; ") {
		m := complaint.FindStringSubmatch(part)
		switch last := len(c.list) - 1; {
		case m == nil && last >= 0: // the text of a complaint has a semicolon of its own
			c.list[last].text += "; " + part
		case m == nil:
			c.add("application", part)
		case !slices.ContainsFunc(c.list, func(p problem) bool { return p.path == m[1] }):
			c.add(m[1], m[2])
		}
	}
}

// line is where path, or the nearest thing around it, stands; 0 where nothing
// of it does.
func (c *complaints) line(path string) int {
	file, err := parser.ParseBytes(c.source, 0)
	for err == nil && path != "" {
		if node := find(file, path); node != nil {
			return node.GetToken().Position.Line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

func find(file *ast.File, path string) ast.Node {
	p, err := yaml.PathString("$." + path)
	if err != nil {
		return nil
	}
	node, err := p.FilterFile(file)
	if err != nil {
		return nil
	}
	return node
}

func (c *complaints) cas(dir, field string, files []caFile) (out []membership.CA) {
	for i, f := range files {
		der := c.certificate(dir, fmt.Sprintf("%s[%d].certificate", field, i), f.Certificate)
		out = append(out, membership.CA{Certificate: der, OCSP: f.OCSP, CRL: f.CRL, TestSerials: f.TestSerials})
	}
	return out
}

// certificate returns the DER of the certificate in a file named in path.
func (c *complaints) certificate(dir, path, name string) []byte {
	if name == "" {
		c.add(path, "missing")
		return nil
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	cert, err := readCertificate(name)
	if err != nil {
		c.add(path, err.Error())
		return nil
	}
	return cert.Raw
}

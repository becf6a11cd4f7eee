package main

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
	"bridge.example/internal/wire/cms"
	"bridge.example/internal/wire/crl"
)

// What one command reads, all files together.
const (
	maxMaterialBytes = 128 << 20
	maxMaterialFiles = 10_000
	maxMaterialItems = 100_000 // certificates and CRLs
)

// material is what files hold that a path is made of. It grows up to the
// bounds above.
type material struct {
	certs []*pathval.Certificate
	crls  []*crl.List

	bytes int64
	files int
}

// certificates reads more files or directories, and returns their
// certificates; CRLs beside them are left alone. flag is where paths come from.
// An error is Invalid.
func (m *material) certificates(flag string, paths ...string) ([]*pathval.Certificate, error) {
	from := len(m.certs)
	if err := m.readAll(flag, paths); err != nil {
		return nil, err
	}
	if len(paths) > 0 && len(m.certs) == from {
		return nil, fault.New(fault.Invalid, "%s: %s holds no certificate", flag, strings.Join(paths, ", "))
	}
	return m.certs[from:], nil
}

// lists is the same for CRLs.
func (m *material) lists(flag string, paths ...string) ([]*crl.List, error) {
	from := len(m.crls)
	if err := m.readAll(flag, paths); err != nil {
		return nil, err
	}
	if len(paths) > 0 && len(m.crls) == from {
		return nil, fault.New(fault.Invalid, "%s: %s holds no CRL", flag, strings.Join(paths, ", "))
	}
	return m.crls[from:], nil
}

func (m *material) readAll(flag string, paths []string) error {
	for _, path := range paths {
		files, err := m.expand(path)
		for _, file := range files {
			if err == nil {
				err = m.readFile(file)
			}
		}
		if err != nil {
			return fault.New(fault.Invalid, "%s: %w", flag, err)
		}
	}
	return nil
}

// expand returns the files of a directory, without those in directories below
// it and those whose name begins with a dot; any other path is itself.
func (m *material) expand(path string) ([]string, error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return []string{path}, err
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	room := maxMaterialFiles - m.files
	names, err := dir.Readdirnames(room + 1)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(names) > room {
		return nil, fmt.Errorf("%s: more than %d files", path, maxMaterialFiles)
	}
	slices.Sort(names)
	var files []string
	for _, name := range names {
		if strings.HasPrefix(name, ".") {
			continue
		}
		file := filepath.Join(path, name)
		info, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, file)
		}
	}
	return files, nil
}

func (m *material) readFile(path string) error {
	if m.files++; m.files > maxMaterialFiles {
		return fmt.Errorf("more than %d files", maxMaterialFiles)
	}
	b, err := readFile(path, maxMaterialBytes-m.bytes)
	if err != nil {
		return err
	}
	m.bytes += int64(len(b))
	if err := m.add(b); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// add takes in the content of a file: PEM blocks, whatever their label, or DER.
func (m *material) add(b []byte) error {
	block, rest := pem.Decode(b)
	if block == nil {
		return m.addDER(b)
	}
	// Decode passes over a block it cannot read, and a certificate or CRL that
	// silently is not there changes the answer.
	damaged := bytes.Count(b, []byte("-----BEGIN "))
	for ; block != nil; block, rest = pem.Decode(rest) {
		damaged--
		if err := m.addDER(block.Bytes); err != nil {
			return fmt.Errorf("PEM block %q: %w", block.Type, err)
		}
	}
	if damaged != 0 {
		return fmt.Errorf("%d damaged PEM blocks", damaged)
	}
	return nil
}

// addDER tells the types apart by how they begin. Of them only bundles may be
// BER of indefinite length.
func (m *material) addDER(der []byte) error {
	var body cryptobyte.String
	s := cryptobyte.String(der)
	bundle := bytes.HasPrefix(der, []byte{0x30, 0x80})
	if !bundle && (!s.ReadASN1(&body, cbasn1.SEQUENCE) || !s.Empty()) {
		return errUnknownType
	}
	err := error(errUnknownType)
	switch {
	case bundle:
		err = m.addBundle(der)
	case body.PeekASN1Tag(cbasn1.SEQUENCE):
		err = m.addSigned(der)
	case body.PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER):
		err = m.addBundle(der)
	case body.PeekASN1Tag(pairHalf(0)), body.PeekASN1Tag(pairHalf(1)):
		err = m.addPair(der)
	}
	if err == nil && len(m.certs)+len(m.crls) > maxMaterialItems {
		return fmt.Errorf("more than %d certificates and CRLs", maxMaterialItems)
	}
	return err
}

var errUnknownType = fault.New(fault.Invalid, "neither certificate nor CRL, certificate pair or p7c bundle, as PEM or DER")

func pairHalf(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }

// addSigned takes a certificate or, if it is none, a CRL.
func (m *material) addSigned(der []byte) error {
	c, notCertificate := pathval.ParseCertificate(der)
	if notCertificate == nil {
		m.certs = append(m.certs, c)
		return nil
	}
	l, notCRL := crl.Parse(der)
	if notCRL != nil {
		return fmt.Errorf("neither certificate (%w) nor CRL (%w)", notCertificate, notCRL)
	}
	m.crls = append(m.crls, l)
	return nil
}

func (m *material) addBundle(der []byte) error {
	certs, crls, err := cms.ParseCertsOnly(der)
	for _, c := range certs {
		if err == nil {
			err = m.addCertificate(c)
		}
	}
	for _, c := range crls {
		if err == nil {
			err = m.addSigned(c)
		}
	}
	return err
}

func (m *material) addPair(der []byte) error {
	pair, err := certext.ParseCertificatePair(der)
	for _, half := range [][]byte{pair.IssuedToThisCA, pair.IssuedByThisCA} {
		if err == nil && half != nil {
			err = m.addCertificate(half)
		}
	}
	return err
}

func (m *material) addCertificate(der []byte) error {
	c, err := pathval.ParseCertificate(der)
	if err == nil {
		m.certs = append(m.certs, c)
	}
	return err
}

package lab

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"time"

	"bridge.example/internal/fault"
)

// load reads what create wrote.
func (o *Organisation) load() (err error) {
	for _, a := range []*Authority{o.Root, o.Issuing} {
		if a.Certificate, a.key, err = readPair(a.File); err != nil {
			return err
		}
		if err := a.issued.load(); err != nil {
			return err
		}
		a.responder, a.respKey = a.Certificate, a.key
	}
	if o.Spec.DelegateOCSP {
		if o.Issuing.responder, o.Issuing.respKey, err = readPair(o.path("responder.pem")); err != nil {
			return err
		}
	}
	for _, s := range o.Spec.Users {
		u := User{Mail: o.Spec.mail(s), CN: s.CN, State: Valid,
			File: o.path("users/" + s.Local + ".pem"), KeyFile: o.path("users/" + s.Local + ".key")}
		if u.Certificate, err = readCertificate(u.File); err != nil {
			return err
		}
		i, ok := o.Issuing.issued.find(u.Certificate.SerialNumber)
		switch {
		case !ok:
			return fault.New(fault.Invalid, "%s did not issue %s", o.Issuing.File, u.File)
		case !i.revoked.IsZero():
			u.State = Revoked
		case time.Now().After(u.Certificate.NotAfter):
			u.State = Expired
		}
		o.users = append(o.users, u)
	}
	return nil
}

func (o *Organisation) savePorts() error {
	b, err := json.Marshal(o.Ports)
	if err != nil {
		return err
	}
	return writeFile(o.path(portsFile), b)
}

// readPair reads a certificate, and its key from beside it.
func readPair(file string) (*x509.Certificate, crypto.Signer, error) {
	c, err := readCertificate(file)
	if err != nil {
		return nil, nil, err
	}
	file = strings.TrimSuffix(file, ".pem") + ".key"
	der, err := readPEM(file)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing %s: %w", file, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, fault.New(fault.Invalid, "the key in %s cannot sign", file)
	}
	return c, signer, nil
}

func readCertificate(file string) (*x509.Certificate, error) {
	der, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", file, err)
	}
	return c, nil
}

func readPEM(file string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fault.New(fault.Invalid, "%s: no PEM in it", file)
	}
	return block.Bytes, nil
}

func writePEM(file, label string, der []byte) error {
	return writeFile(file, pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

// writeFile replaces file whole, so that no reader meets half of it.
func writeFile(file string, b []byte) error {
	if err := os.WriteFile(file+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

package lab

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"strings"
	"sync"
	"time"

	"bridge.example/internal/fault"
)

// index is what a CA issued and revoked, in a file as "openssl ca" keeps it, so
// that "openssl ocsp" can answer from it: a line per certificate with status,
// expiry, revocation, serial, file and subject, separated by tabs.
type index struct {
	file string

	mu   sync.Mutex
	rows []row
}

type row struct {
	serial  *big.Int
	expires time.Time
	revoked time.Time // zero: it is not
	subject string
}

const indexTime = "060102150405Z"

// load reads the file; none is an empty index.
func (x *index) load() error {
	b, err := os.ReadFile(x.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rows = nil
	for line := range strings.Lines(string(b)) {
		r, err := parseRow(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return fmt.Errorf("parsing %s: %w", x.file, err)
		}
		x.rows = append(x.rows, r)
	}
	return nil
}

func parseRow(line string) (r row, err error) {
	f := strings.Split(line, "\t")
	if len(f) != 6 {
		return r, fault.New(fault.Invalid, "want 6 fields, got %d", len(f))
	}
	if r.expires, err = time.Parse(indexTime, f[1]); err != nil {
		return r, err
	}
	if f[0] == "R" {
		if r.revoked, err = time.Parse(indexTime, f[2]); err != nil {
			return r, err
		}
	}
	var ok bool
	if r.serial, ok = new(big.Int).SetString(f[3], 16); !ok {
		return r, fault.New(fault.Invalid, "%q is no serial number", f[3])
	}
	r.subject = f[5]
	return r, nil
}

// save writes the file; the lock is held.
func (x *index) save() error {
	var b bytes.Buffer
	for _, r := range x.rows {
		status, revoked := "V", ""
		if !r.revoked.IsZero() {
			status, revoked = "R", r.revoked.UTC().Format(indexTime)
		}
		fmt.Fprintf(&b, "%s\t%s\t%s\t%X\tunknown\t%s\n", status, r.expires.UTC().Format(indexTime), revoked, r.serial.Bytes(), r.subject)
	}
	// Without this, openssl refuses two valid certificates of one subject.
	if err := writeFile(x.file+".attr", []byte("unique_subject = no\n")); err != nil {
		return err
	}
	return writeFile(x.file, b.Bytes())
}

func (x *index) add(c *x509.Certificate) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rows = append(x.rows, row{serial: c.SerialNumber, expires: c.NotAfter, subject: c.Subject.String()})
	return x.save()
}

// revoke notes the instant, unless there is one already. NotFound when the
// serial was not issued.
func (x *index) revoke(serial *big.Int, at time.Time) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range x.rows {
		if r := &x.rows[i]; r.serial.Cmp(serial) == 0 {
			if !r.revoked.IsZero() {
				return nil
			}
			r.revoked = at.UTC().Truncate(time.Second)
			return x.save()
		}
	}
	return fault.New(fault.NotFound, "serial %x was not issued", serial)
}

func (x *index) find(serial *big.Int) (row, bool) {
	for _, r := range x.all() {
		if r.serial.Cmp(serial) == 0 {
			return r, true
		}
	}
	return row{}, false
}

func (x *index) all() []row {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]row(nil), x.rows...)
}

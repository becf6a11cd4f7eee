package subscription

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"bridge.example/internal/fault"
	"bridge.example/signedlist"
)

const (
	setsDir     = "sets"
	currentLink = "current"
	listFile    = "list.p7s"
	setFile     = "set.json"

	// writers is how many files are written at a time: a file system makes many
	// durable for the price of one.
	writers = 16
)

// set is what is in use: the list, and what was made of it.
type set struct {
	dir  string // absolute
	list *signedlist.List
	der  []byte
	record
}

// record is set.json.
type record struct {
	Number   int64             `json:"number"`
	At       time.Time         `json:"at"`                 // when it was put into use
	Accepted bool              `json:"accepted,omitempty"` // somebody consented to the list by its number
	Config   string            `json:"config"`             // hash of what the targets depend on
	Files    map[string]string `json:"files"`              // name to SHA-256
}

// load reads the set in use; it is nil when there was never one. A set that
// cannot be read is an error and never no set: that would be trust at first use
// a second time.
func (s *Subscription) load() (*set, error) {
	dir, err := filepath.EvalSymlinks(filepath.Join(s.dir, currentLink))
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Lstat(filepath.Join(s.dir, currentLink)); err == nil {
			return nil, fault.New(fault.Internal, "%s: the set in use is missing", s.dir)
		}
		return nil, nil
	} else if err != nil {
		return nil, diskFault(err)
	}
	out := &set{dir: dir}
	if out.der, err = os.ReadFile(filepath.Join(dir, listFile)); err != nil {
		return nil, fmt.Errorf("reading the list in use: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, setFile))
	if err != nil || json.Unmarshal(text, &out.record) != nil {
		out.record = record{At: s.o.Now()} // it fits nothing, so the set is made anew
	}
	// At the instant it was accepted: it or its signer may have expired since.
	if out.list, err = signedlist.Open(out.der, s.roots(), out.At); err != nil && !errors.Is(err, signedlist.ErrExpired) {
		return nil, fmt.Errorf("opening the list in use: %w", err)
	}
	return out, nil
}

// intact reports whether all files are as they were written, and made by c.
func (c *set) intact(config string) bool {
	if c.Config != config || c.Number != c.list.Number {
		return false
	}
	var g errgroup.Group
	g.SetLimit(writers)
	for name, want := range c.Files {
		g.Go(func() error {
			b, err := os.ReadFile(filepath.Join(c.dir, filepath.FromSlash(name)))
			if err == nil && hexSum(b) != want {
				err = errors.New("changed")
			}
			return err
		})
	}
	if g.Wait() != nil {
		return false
	}
	folders := map[string]int{}
	for name := range c.Files {
		folders[filepath.Dir(name)]++
	}
	for folder, n := range folders { // nothing may have been put beside them
		if names, err := os.ReadDir(filepath.Join(c.dir, folder)); folder != "." && (err != nil || len(names) != n) {
			return false
		}
	}
	return true
}

// has reports whether a file of c says the same, and is in a folder: those are
// many and seldom change.
func (c *set) has(f file) bool {
	if c == nil || !strings.Contains(f.name, "/") {
		return false
	}
	b, err := os.ReadFile(filepath.Join(c.dir, filepath.FromSlash(f.name)))
	return err == nil && bytes.Equal(b, f.body)
}

// configHash tells whether targets were made by the same rules.
func (s *Subscription) configHash() string {
	text, err := json.Marshal([]any{s.config.Select, s.config.Targets})
	if err != nil {
		return ""
	}
	return hexSum(text)
}

// prepare writes a set for the list, durable and whole, and does not use it yet.
// What before has already, which may be nil, is linked.
func (s *Subscription) prepare(l *signedlist.List, der []byte, selected []signedlist.Entry, r record, before *set) (*set, error) {
	files := []file{{listFile, der}}
	made := map[string]bool{}
	for _, t := range s.config.Targets {
		if made[t.Kind] {
			continue
		}
		made[t.Kind] = true
		more, err := t.files(l, selected)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	r.Number, r.Config, r.Files = l.Number, s.configHash(), make(map[string]string, len(files))
	out := &set{list: l, der: der, record: r}
	for _, f := range files {
		out.Files[f.name] = hexSum(f.body)
	}
	text, err := json.MarshalIndent(out.record, "", "  ")
	if err != nil {
		return nil, err
	}
	files = append(files, file{setFile, append(text, '\n')})
	s.step()
	if out.dir, err = os.MkdirTemp(filepath.Join(s.dir, setsDir), fmt.Sprintf("%d-*", l.Number)); err != nil {
		return nil, diskFault(err)
	}
	if err := s.write(out.dir, files, before); err != nil {
		return nil, diskFault(errors.Join(err, os.RemoveAll(out.dir)))
	}
	return out, nil
}

func (s *Subscription) write(dir string, files []file, before *set) error {
	folders := []string{dir}
	for _, t := range s.config.Targets {
		if t.Kind == directory && len(folders) == 1 {
			folders = append(folders, filepath.Join(dir, t.name()))
		}
	}
	for _, f := range folders {
		s.step()
		if err := os.MkdirAll(f, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(f, 0o755); err != nil {
			return err
		}
	}
	var g errgroup.Group
	g.SetLimit(writers)
	for _, f := range files {
		s.step()
		g.Go(func() error {
			path := filepath.FromSlash(f.name)
			if before.has(f) && os.Link(filepath.Join(before.dir, path), filepath.Join(dir, path)) == nil {
				return nil
			}
			return writeDurably(filepath.Join(dir, path), f.body)
		})
	}
	err := g.Wait()
	for _, f := range slices.Backward(folders) {
		s.step()
		err = errors.Join(err, syncDir(f))
	}
	return errors.Join(err, syncDir(filepath.Join(s.dir, setsDir)))
}

// use swaps the link. From here on the new set is the one in use.
func (s *Subscription) use(next *set) error {
	s.step()
	return diskFault(s.relink(filepath.Join(setsDir, filepath.Base(next.dir)), filepath.Join(s.dir, currentLink)))
}

// relink makes path a symbolic link to target, whatever it was before, at once.
func (s *Subscription) relink(target, path string) error {
	interim := path + ".new"
	if err := os.Remove(interim); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, interim); err != nil {
		return err
	}
	s.step()
	if err := os.Rename(interim, path); err != nil {
		return err
	}
	s.step()
	return syncDir(filepath.Dir(path))
}

// prune removes every set but the one in use. It is called before another comes,
// so the one before stays while programs have it open.
func (s *Subscription) prune(inUse *set) error {
	names, err := os.ReadDir(filepath.Join(s.dir, setsDir))
	if err != nil {
		return diskFault(err)
	}
	for _, n := range names {
		if inUse == nil || filepath.Base(inUse.dir) != n.Name() {
			s.step()
			err = errors.Join(err, os.RemoveAll(filepath.Join(s.dir, setsDir, n.Name())))
		}
	}
	return diskFault(err)
}

// link makes the links outside that the targets name. A file that is there and
// not a link of ours is never replaced. Errors: Conflict.
func (s *Subscription) link() error {
	for _, t := range s.config.Targets {
		if t.Link == "" {
			continue
		}
		want := filepath.Join(s.dir, currentLink, t.name())
		got, err := os.Readlink(t.Link)
		switch {
		case err == nil && got == want:
			continue
		case err == nil && strings.HasPrefix(got, s.dir+string(filepath.Separator)), errors.Is(err, os.ErrNotExist):
		default:
			return fault.New(fault.Conflict, "%s is there already and is not ours to replace; move it away, or name another place", t.Link)
		}
		if err := s.relink(want, t.Link); err != nil {
			return diskFault(err)
		}
	}
	return nil
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func writeDurably(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()) // public, whatever the umask
}

// replaceFile writes a file whole or not at all, durably.
func replaceFile(path string, b []byte) error {
	if err := writeDurably(path+".new", b); err != nil {
		return diskFault(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return diskFault(err)
	}
	return diskFault(syncDir(filepath.Dir(path)))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

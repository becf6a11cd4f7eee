package subscription

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"

	"bridge.example/signedlist"
)

// Target is one thing that other programs read. All are made in the set; Link
// names a place outside, which becomes a symbolic link to it.
type Target struct {
	Kind string `yaml:"kind"`           // one of [TargetKinds]
	Link string `yaml:"link,omitempty"` // absolute path
}

// String is the target as a flag has it: KIND or KIND=LINK.
func (t Target) String() string {
	if t.Link == "" {
		return t.Kind
	}
	return t.Kind + "=" + t.Link
}

const directory = "directory"

// kinds are the targets and the views of a list that they are made as. They are
// made here from what is selected; nothing but the list is fetched.
func kinds() map[string]string {
	return map[string]string{
		"apple":     "anchors.mobileconfig",
		directory:   "anchors-openssl.tar.gz", // unpacked
		"nss":       "anchors-nss.sh",
		"p7b":       "anchors.p7b",
		"pem":       "anchors.pem",
		"pkcs12":    "anchors.p12",
		"trustlist": "trustlist.txt",
	}
}

// TargetKinds are the kinds there are, ordered.
func TargetKinds() []string { return slices.Sorted(maps.Keys(kinds())) }

// name is that of the target in a set.
func (t Target) name() string {
	if t.Kind == directory {
		return "certs"
	}
	return kinds()[t.Kind]
}

// file is one file of a set; its name may have one folder.
type file struct {
	name string
	body []byte
}

// files makes the target from the entries of l that are selected.
func (t Target) files(l *signedlist.List, selected []signedlist.Entry) ([]file, error) {
	view, err := l.Derive(kinds()[t.Kind], selected)
	if err != nil {
		return nil, fmt.Errorf("making the target %s: %w", t.Kind, err)
	}
	if t.Kind != directory {
		return []file{{view.Name, view.Body}}, nil
	}
	return unpack(view.Body, t.name())
}

// unpack lays the files of an archive of ours into one folder.
func unpack(archive []byte, folder string) (out []file, err error) {
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		out = append(out, file{folder + "/" + path.Base(h.Name), b})
	}
}

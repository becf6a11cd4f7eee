// Package repository is the HTTP publication point: it serves what the bridge
// signed, as files, with validators and lifetimes that fit what is in them.
package repository

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unsafe"
)

// File is one file that is published.
type File struct {
	Path        string // "/list.p7s"
	ContentType string
	Body        []byte
	Modified    time.Time
	Expires     time.Time // nextUpdate of what is in it; zero when it has none
	Immutable   bool      // what is at this path never changes
}

// Files is an immutable set of files.
type Files struct {
	byPath map[string]file
	sorted []File
}

type file struct {
	File
	etag string
}

// NewFiles returns the set of fs.
func NewFiles(fs []File) *Files {
	out := &Files{byPath: make(map[string]file, len(fs)), sorted: slices.Clone(fs)}
	type body struct {
		start *byte
		size  int
	}
	etags := make(map[body]string, len(fs)) // large ones are at two paths
	for _, f := range fs {
		b := body{unsafe.SliceData(f.Body), len(f.Body)}
		if etags[b] == "" {
			etags[b] = etag(f.Body)
		}
		out.byPath[f.Path] = file{f, etags[b]}
	}
	slices.SortFunc(out.sorted, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// etag is a strong validator (RFC 9110 §8.8.3).
func etag(body []byte) string {
	h := sha256.Sum256(body)
	return `"` + hex.EncodeToString(h[:]) + `"`
}

// ModifiedUnless returns when the file at path was modified if it holds body,
// and otherwise now. A nil set holds nothing.
func (s *Files) ModifiedUnless(path string, body []byte, now time.Time) time.Time {
	if s != nil {
		if f, ok := s.byPath[path]; ok && bytes.Equal(f.Body, body) {
			return f.Modified
		}
	}
	return now
}

// Source gives the set in force. It is called for every request, from many
// goroutines.
type Source interface{ Files() *Files }

// Options tune a handler; the zero value works.
type Options struct {
	Name string           // of the bridge, on the index page
	Now  func() time.Time // what lifetimes are counted from; time.Now when nil
	Log  *slog.Logger     // slog.Default when nil
	// Old returns a file that is in the set no more, but never changes: whoever
	// knows its path may still ask for it. Errors: NotFound, others as they come.
	// Nil when there is none.
	Old func(ctx context.Context, path string) (File, error)
}

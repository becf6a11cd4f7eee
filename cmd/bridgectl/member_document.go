package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

func (t *tool) memberDocument() *cobra.Command {
	return t.noun("document", "Store and read documents, which are kept by their hash", t.documentPut(), t.documentGet())
}

func (t *tool) documentPut() *cobra.Command {
	return &cobra.Command{
		Use: "put ID FILE", Short: "Store a document about a member", Args: cobra.ExactArgs(2), ValidArgsFunction: t.memberIDs,
		Long: fmt.Sprintf(`Stores FILE, of at most %d MiB, for a decision or an application about a member to
name by its hash. The commands that take evidence do this themselves. Who reads
it back: see "get".

JSON: {"hash" (SHA-256), "name"}.`, membership.MaxDocumentBytes>>20),
		RunE: t.run(func(ctx context.Context, args []string) error {
			f, err := readEvidence(args[1], membership.Other)
			if err != nil {
				return err
			}
			return t.ask(func(client proto.BridgeClient) error {
				if err := f.put(ctx, client, args[0]); err != nil {
					return err
				}
				var r rows
				r.add("hash", f.Hash)
				r.add("name", f.Name)
				return t.emit(map[string]string{"hash": f.Hash, "name": f.Name}, nil, r)
			})
		}),
	}
}

func (t *tool) documentGet() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "get ID HASH|KIND --out FILE", Short: "Read a document of a member", Args: cobra.ExactArgs(2), ValidArgsFunction: t.memberDocuments,
		Long: `Reads a document that the record of a member names: evidence, a declared policy,
the report of a check, or, by its record hash, a record that was decided upon.
KIND (cp, cps, form, assessment, audit, agreement, declaration, minutes, other)
means the newest of that kind. What comes is held against the hash. It goes to
standard output, unless a person sits there, or to FILE.

JSON: {"hash", "bytes", "file" or "content" (base64)}.`,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.readDocument(ctx, args[0], args[1], out) }),
	}
	c.Flags().StringVar(&out, "out", "", "`file` to write")
	return c
}

func (t *tool) readDocument(ctx context.Context, id, what, out string) error {
	if out == "" && t.outTerminal && t.output == "text" {
		return fault.New(fault.Invalid, "the document may not be text: name a file with --out")
	}
	var content []byte
	err := t.ask(func(client proto.BridgeClient) error {
		hash := what
		if slices.Contains(membership.DocumentKinds(), membership.DocumentKind(what)) {
			r, err := client.GetMember(ctx, &proto.GetMemberRequest{Id: id})
			if err != nil {
				return err
			}
			if hash = newMember(r.GetMember()).newest(what); hash == "" {
				return fault.New(fault.NotFound, "the record of %s names no document of kind %q", id, what)
			}
		}
		var err error
		content, err = getDocument(ctx, client, id, hash)
		return err
	})
	if err != nil {
		return err
	}
	type result struct {
		Hash    string `json:"hash"`
		Bytes   int    `json:"bytes"`
		File    string `json:"file,omitempty"`
		Content []byte `json:"content,omitempty"`
	}
	v := result{sha256Hex(content), len(content), out, content}
	if out != "" {
		if err := writeFile(out, content); err != nil {
			return err
		}
		v.Content = nil
	} else if t.output == "text" {
		_, err := t.out.Write(content)
		return err
	}
	return t.emit(v, nil, rows{{"hash", v.Hash}, {"bytes", fmt.Sprint(v.Bytes)}, {"file", out}})
}

// documents are those that the record names, the newest last.
func (m member) documents() []document {
	out := slices.Concat(m.record.Documents, m.candidate().Documents)
	for _, d := range m.Decisions {
		out = append(out, d.Documents...)
	}
	return out
}

// newest is the hash of the newest document of a kind; empty without one.
func (m member) newest(kind string) string {
	for _, d := range slices.Backward(m.documents()) {
		if d.Kind == kind {
			return d.Hash
		}
	}
	return ""
}

// memberDocuments offers ids, then the documents of that member.
func (t *tool) memberDocuments(c *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return t.memberIDs(c, args, prefix)
	}
	var out []cobra.Completion
	if len(args) == 1 {
		for _, k := range membership.DocumentKinds() {
			out = append(out, string(k))
		}
		t.timeout = min(t.timeout, 2*time.Second)
		_ = t.ask(func(client proto.BridgeClient) error {
			r, err := client.GetMember(c.Context(), &proto.GetMemberRequest{Id: args[0]})
			for _, d := range newMember(r.GetMember()).documents() {
				out = append(out, cobra.CompletionWithDesc(harmless(d.Hash), harmless(d.Kind+" "+d.Name)))
			}
			return err
		})
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// getDocument returns a document that the record of id names, held against its
// hash.
func getDocument(ctx context.Context, client proto.BridgeClient, id, hash string) ([]byte, error) {
	r, err := client.GetDocument(ctx, &proto.GetDocumentRequest{Id: id, Hash: hash})
	if err != nil {
		return nil, err
	}
	if got := sha256Hex(r.GetContent()); got != hash {
		return nil, fault.New(fault.Internal, "the document %s came back with the hash %s", hash, got)
	}
	return r.GetContent(), nil
}

// evidence is a file that becomes a document.
type evidence struct {
	membership.Document
	content []byte
}

// readEvidence reads a document of a kind.
func readEvidence(path string, kind membership.DocumentKind) (evidence, error) {
	content, err := readFile(path, membership.MaxDocumentBytes)
	if err == nil && len(content) == 0 {
		err = fault.New(fault.Invalid, "%s: nothing in it", path)
	}
	return evidence{membership.Document{Kind: kind, Hash: sha256Hex(content), Name: filepath.Base(path)}, content}, err
}

// put stores the content for a decision about id to name.
func (e evidence) put(ctx context.Context, client proto.BridgeClient, id string) error {
	r, err := client.PutDocument(ctx, &proto.PutDocumentRequest{Id: id, Content: e.content})
	if err != nil {
		return fault.New(fault.KindOf(err), "storing %s: %w", e.Name, err)
	}
	if r.GetHash() != e.Hash {
		return fault.New(fault.Internal, "storing %s: the daemon names the hash %s, not %s", e.Name, r.GetHash(), e.Hash)
	}
	return nil
}

// putAll stores each, and returns the documents that a message names.
func putAll(ctx context.Context, client proto.BridgeClient, id string, files []evidence) ([]*proto.Document, error) {
	var out []*proto.Document
	for _, f := range files {
		if err := f.put(ctx, client, id); err != nil {
			return nil, err
		}
		out = append(out, convert.FromDocument(f.Document))
	}
	return out, nil
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

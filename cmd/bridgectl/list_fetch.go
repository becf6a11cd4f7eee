package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/internal/outbound"
	"bridge.example/internal/subscription"
)

func (t *tool) listFetch() *cobra.Command {
	var out, from string
	var hosts []string
	c := &cobra.Command{
		Use: "fetch", Short: "Fetch the signed list in force", Args: cobra.NoArgs,
		Long: `Fetches the signed list from the daemon or, with --url, from a repository, which
needs no credentials. Its signature is not checked: "bridgectl list verify" does
that. Only public addresses are reached, one that stands in the address itself,
and hosts that --allow-host allows. Without --out the list itself, CMS SignedData in DER, goes to standard
output.

JSON: number, issued_at, next_update (these three only from the daemon), bytes,
sha256, and file or list (DER, base64).`,
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.fetch(ctx, from, hosts, out) }),
	}
	f := c.Flags()
	f.StringVar(&out, "out", "", "`file` to write the list to")
	f.StringVar(&from, "url", "", "http or https `address` of the list in a repository")
	f.StringArrayVar(&hosts, "allow-host", nil, "`host` or host:port that --url may lead to although its address is not public; may be repeated")
	return c
}

// fetched describes a list that came, and carries it where it has no file.
type fetched struct {
	Number     int64     `json:"number,omitempty"`
	IssuedAt   time.Time `json:"issued_at,omitzero"`
	NextUpdate time.Time `json:"next_update,omitzero"`
	Bytes      int       `json:"bytes"`
	SHA256     string    `json:"sha256"`
	File       string    `json:"file,omitempty"`
	List       []byte    `json:"list,omitempty"`
}

func (t *tool) fetch(ctx context.Context, from string, hosts []string, out string) error {
	if out == "" && t.outTerminal && t.output == "text" {
		return withHint(fault.New(fault.Invalid, "a signed list is no text for a terminal"), "name a file with --out, or redirect the output")
	}
	f, err := t.fetchFrom(ctx, from, hosts)
	if err != nil {
		return err
	}
	list, sum := f.List, sha256.Sum256(f.List)
	f.Bytes, f.SHA256 = len(list), hex.EncodeToString(sum[:])
	if out != "" {
		if err := writeFile(out, list); err != nil {
			return err
		}
		f.File, f.List = out, nil
	} else if t.output == "text" {
		_, err := t.out.Write(list)
		return err
	}
	var r rows
	r.add("file", f.File)
	r.add("bytes", fmt.Sprint(f.Bytes))
	r.add("SHA-256", f.SHA256)
	if f.Number != 0 {
		r.add("number", fmt.Sprint(f.Number))
	}
	r.add("issued", stamp(f.IssuedAt))
	r.add("next update", stamp(f.NextUpdate))
	return t.emit(f, nil, r)
}

func (t *tool) fetchFrom(ctx context.Context, from string, hosts []string) (f fetched, err error) {
	if from != "" {
		f.List, err = t.download(ctx, from, hosts)
		return f, err
	}
	err = t.ask(func(client proto.BridgeClient) error {
		p, err := client.GetList(ctx, &proto.GetListRequest{})
		f = fetched{Number: p.GetNumber(), IssuedAt: instant(p.GetIssuedAt()), NextUpdate: instant(p.GetNextUpdate()), List: p.GetList()}
		return err
	})
	return f, err
}

// download gets what is at an address, without credentials.
func (t *tool) download(ctx context.Context, from string, hosts []string) ([]byte, error) {
	u, err := url.Parse(from)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fault.New(fault.Invalid, "--url: %q is not an http or https address", from)
	}
	policy, err := allowedHosts(hosts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	got, err := subscription.Get(ctx, subscription.Client(from, policy), from, "")
	if refusal, ok := errors.AsType[*subscription.Refusal](err); ok {
		err = no{refusal}
		if refusal.Attack == subscription.OtherHost {
			err = withHint(err, "--allow-host allows a host whose address is not public")
		}
	}
	return got.Body, err
}

// allowedHosts is public addresses and hosts, HOST or HOST:PORT each.
func allowedHosts(hosts []string) (p outbound.Policy, err error) {
	for _, s := range hosts {
		h, err := outbound.ParseHost(s)
		if err != nil {
			return p, fmt.Errorf("--allow-host: %w", err)
		}
		p.Hosts = append(p.Hosts, h)
	}
	return p, nil
}

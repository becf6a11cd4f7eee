package main

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/crl"
)

const pathHelp = `
Nobody is asked, unless with --fetch: what counts is in the files. Each holds
certificates or CRLs, one or several, as PEM or DER; certificates also as
crossCertificatePair or p7c. Of a directory all files are read, but not those
below it and those whose name begins with a dot. One that cannot be read or is
something else is an error: exit 2.

Revocation is checked with the CRLs given; where they do not tell, the answer is
no. The answer no exits 7, with every reason and the rule behind it.

--fetch follows the http, https and ldap URLs in certificates: where issuers are
missing, caIssuers of what is at hand and caRepository from the anchors down;
where CRLs are needed and --crls is absent, distribution points; of each at most
four in a certificate, and 32 URLs in all. Standard error says what was fetched;
it is trusted no more than files of --certs. Only public addresses are reached,
and only ports 80, 443 and 389. --allow-host lets one host be reached wherever
its name leads; a redirect to another host is not allowed with it.

Without --policy every policy is acceptable. With it the result names those of
them under which the path is valid; to refuse a path without one, add
--explicit-policy. --email asks for a certificate for that address, and for mail.

Text: the policies under which the path is valid, its anchor, and the
certificates from the one issued by the anchor to the leaf. --output pem: those
certificates in that order, without the anchor, as "path validate" takes them.

JSON: valid; if so, policies (2.5.29.32.0 is any), anchor and path, each
certificate with subject, sha256, not_after, certificate (DER, base64); if not,
problem and rejections [{reason, rule, message, path [{subject, sha256}], index
(of the certificate at fault in path; below 0 is the anchor)}], of which omitted
more are left out; work {signatures, steps, candidates, names,
statuses, fetches}: what was spent.`

func (t *tool) pathCommand() *cobra.Command {
	return t.noun("path", "Build and validate certification paths", t.pathBuild(), t.pathValidate())
}

func (t *tool) pathBuild() *cobra.Command {
	var q pathQuestion
	var leaf string
	var bridge bool
	var serverCA string
	c := &cobra.Command{
		Use: "build --anchor FILE --leaf FILE", Short: "Find a valid path from an anchor to a certificate", Args: cobra.NoArgs,
		Long: "Finds a valid path from an anchor to the leaf through the certificates given, as\n" +
			"RFC 4158 describes, valid by RFC 5280 §6 and RFC 9618.\n" + pathHelp + "\n\n" +
			"With --bridge the daemon is asked instead, which knows its members' certificates\n" +
			"and its own CRL; the path it names is validated here again. Whether what members\n" +
			"issued is revoked is not asked then. Its rejections have no path and index.\n" +
			"Anybody may ask: with --server-ca no credential is needed or shown, and the daemon\n" +
			"answers a few questions at a time.",
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.buildPath(ctx, q, leaf, bridge, serverCA) }),
	}
	q.flags(c)
	c.Flags().BoolVar(&bridge, "bridge", false, "ask the bridge, for now and with what it knows")
	c.Flags().StringVar(&serverCA, "server-ca", "", "`file` with the bridge's admin CA: ask the bridge at --server, without a credential")
	for _, other := range []string{"certs", "crls", "no-revocation", "legacy-algorithms", "at", "fetch"} {
		c.MarkFlagsMutuallyExclusive("bridge", other)
		c.MarkFlagsMutuallyExclusive("server-ca", other)
	}
	c.Flags().StringVar(&leaf, "leaf", "", "`file` with the certificate that the path leads to")
	must(c.MarkFlagRequired("leaf"))
	return c
}

func (t *tool) pathValidate() *cobra.Command {
	var q pathQuestion
	c := &cobra.Command{
		Use: "validate CERTIFICATE... --anchor FILE", Short: "Check one path", Args: cobra.MinimumNArgs(1),
		Long: "Checks the path of the certificates given, from the one issued by an anchor to\n" +
			"the leaf, by RFC 5280 §6 and RFC 9618. --certs may add certificates of those who\n" +
			"signed CRLs.\n" + pathHelp,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.validatePath(ctx, q, args) }),
	}
	q.flags(c)
	return c
}

// pathQuestion is what the flags of both commands say.
type pathQuestion struct {
	anchors, certs, crls, policies       []string
	explicit, inhibitMapping, inhibitAny bool
	noRevocation, legacy                 bool
	email, at                            string
	fetch                                bool
	allowHosts                           []string // HOST or HOST:PORT
}

func (q *pathQuestion) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&q.anchors, "anchor", nil, "`file` or directory with certificates that are trusted; repeatable")
	f.StringArrayVar(&q.certs, "certs", nil, "`file` or directory with further certificates, which nobody trusts; repeatable")
	f.StringArrayVar(&q.crls, "crls", nil, "`file` or directory with CRLs; repeatable")
	f.StringArrayVar(&q.policies, "policy", nil, "`OID` of a policy that is acceptable, in the domain of the anchor; repeatable")
	f.BoolVar(&q.explicit, "explicit-policy", false, "demand an acceptable policy")
	f.BoolVar(&q.inhibitMapping, "inhibit-mapping", false, "do not map policies")
	f.BoolVar(&q.inhibitAny, "inhibit-any-policy", false, "let anyPolicy in certificates count for nothing")
	f.BoolVar(&q.noRevocation, "no-revocation", false, "do not ask whether certificates are revoked")
	f.BoolVar(&q.legacy, "legacy-algorithms", false, "accept SHA-1, DSA and RSA of 1024 bits too, which can be forged")
	f.StringVar(&q.email, "email", "", "mail `address` that the leaf must be for")
	f.StringVar(&q.at, "at", "", "`instant` to check for, such as 2026-01-02T03:04:05Z or 2026-01-02; now when absent")
	f.BoolVar(&q.fetch, "fetch", false, "fetch what certificates point to: issuers, and CRLs unless --crls is given")
	f.StringArrayVar(&q.allowHosts, "allow-host", nil, "`host[:port]` that --fetch may reach though its address is not public; repeatable")
	must(c.MarkFlagRequired("anchor"))
	c.MarkFlagsMutuallyExclusive("crls", "no-revocation")
	c.Annotations = map[string]string{moreOutputs: "pem"}
}

func (t *tool) buildPath(ctx context.Context, q pathQuestion, leaf string, bridge bool, serverCA string) error {
	var m material
	found, err := m.certificates("--leaf", leaf)
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fault.New(fault.Invalid, "--leaf: want exactly one certificate, %s holds %d", leaf, len(found))
	}
	pool, in, err := t.inputs(q, &m)
	if err != nil {
		return err
	}
	if bridge || serverCA != "" {
		return t.askPath(ctx, found[0], in, serverCA)
	}
	r, err := pathval.Build(ctx, found[0], pool, in)
	return t.answerPath(r, q.hint(err))
}

func (t *tool) validatePath(ctx context.Context, q pathQuestion, files []string) error {
	var m material
	path, err := m.certificates("the path", files...)
	if err != nil {
		return err
	}
	_, in, err := t.inputs(q, &m)
	if err != nil {
		return err
	}
	r, err := pathval.Validate(ctx, path, in)
	return t.answerPath(r, q.hint(err))
}

// inputs reads the files of q into m, and says what pathval is to be asked.
func (t *tool) inputs(q pathQuestion, m *material) (*pathval.Pool, pathval.Inputs, error) {
	in := pathval.Inputs{
		ExplicitPolicy: q.explicit, InhibitPolicyMapping: q.inhibitMapping, InhibitAnyPolicy: q.inhibitAny,
		Email: q.email,
	}
	if q.legacy {
		in.Accept = crl.Legacy
	}
	if q.email != "" {
		if local, host, ok := strings.Cut(q.email, "@"); !ok || local == "" || host == "" {
			return nil, in, fault.New(fault.Invalid, "--email: %q is no mail address", q.email)
		}
		in.Purpose = pathval.EmailProtection()
	}
	for _, p := range q.policies {
		id, err := x509.ParseOID(p)
		if err != nil {
			return nil, in, fault.New(fault.Invalid, "--policy: %q is no object identifier such as 1.3.6.1.4.1.32473.1.1", p)
		}
		in.Policies = append(in.Policies, id)
	}
	var err error
	if in.At, err = parseInstant("--at", q.at, time.Now()); err != nil {
		return nil, in, err
	}
	if in.Anchors, err = m.certificates("--anchor", q.anchors...); err != nil {
		return nil, in, err
	}
	if _, err := m.certificates("--certs", q.certs...); err != nil {
		return nil, in, err
	}
	pool := pathval.NewPool(m.certs...)
	if q.fetch {
		f, err := t.newFetcher(q.allowHosts)
		if err != nil {
			return nil, in, err
		}
		f.pool, in.Source, in.Revocation = pool, f, f
	} else if q.allowHosts != nil {
		return nil, in, fault.New(fault.Invalid, "--allow-host: without --fetch no host is asked")
	}
	switch {
	case q.noRevocation:
		in.Revocation = nil
	case q.crls != nil || !q.fetch:
		in.Revocation, err = q.revocation(m, pool)
	}
	return pool, in, err
}

func (q *pathQuestion) revocation(m *material, pool *pathval.Pool) (pathval.Revocation, error) {
	lists, err := m.lists("--crls", q.crls...)
	if err != nil {
		return nil, err
	}
	known, err := pathval.NewCRLs(pool, lists...)
	if err != nil {
		return nil, fault.New(fault.Invalid, "--crls: %w", err)
	}
	return known, nil
}

// hint adds to a refusal what may be missing.
func (q *pathQuestion) hint(err error) error {
	if errors.Is(err, pathval.ErrStatusUnknown) && q.crls == nil && !q.fetch {
		return withHint(err, "give the CRLs with --crls, let them be fetched with --fetch, or leave revocation out with --no-revocation")
	}
	return err
}

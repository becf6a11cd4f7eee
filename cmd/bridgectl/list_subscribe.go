package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/internal/fault"
	"bridge.example/internal/subscription"
)

func (t *tool) listSubscribe() *cobra.Command {
	c := t.noun("subscribe", "Keep what this machine trusts in step with the list", t.subscribeInit(), t.subscribeRun(), t.subscribeStatus())
	c.Long = `Keeps a directory in step with a bridge's signed list, and in it the files that
mail programs, gateways and libraries read. "init" says once what is wanted, "run"
is for a timer or stays, "status" is for monitoring. None needs credentials.`
	return c
}

func (t *tool) subscribeInit() *cobra.Command {
	var o subscribing
	c := &cobra.Command{
		Use: "init DIR --url URL --target KIND[=LINK]", Short: "Begin a subscription", Args: cobra.ExactArgs(1),
		Long: `Makes a directory for a subscription and pins the bridge's certificate there:
that in the file --anchor, or the one beside the list (bridge-ca.cer) if its SHA-256
is --fingerprint. Get either from the bridge by a way that the list does not come,
such as paper. Nothing is trusted before the first "run".

A target is a KIND, made below DIR/current, or KIND=LINK, for which LINK, an
absolute path, becomes a symbolic link to it:
  apple      anchors.mobileconfig  a profile for macOS and iOS
  directory  certs/                as OpenSSL looks into (-CApath)
  nss        anchors-nss.sh        a script that fills an NSS database
  p7b        anchors.p7b           certificates only, for Windows and others
  pem        anchors.pem           a bundle (-CAfile)
  pkcs12     anchors.p12           a trust store for Java, password changeit
  trustlist  trustlist.txt         for gpgsm and gpg-agent

` + rulesHelp + `

What is said here stands in DIR/subscription.yaml and may be changed there.

JSON: directory, url, anchor (a certificate), targets [{kind, path}].`,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.subscribe(ctx, args[0], o) }),
	}
	f := c.Flags()
	f.StringVar(&o.URL, "url", "", "http or https `address` of the list")
	f.StringVar(&o.anchor, "anchor", "", "`file` with the bridge CA's certificate, PEM or DER")
	f.StringVar(&o.Fingerprint, "fingerprint", "", "`SHA-256` of the bridge CA's certificate, in hexadecimal digits")
	o.rules.flags(f)
	f.StringArrayVar(&o.targets, "target", nil, "`KIND` or KIND=LINK of what to make; may be repeated")
	f.StringArrayVar(&o.Command, "command", nil, "`word` of a command to run after a change: the program, then each argument")
	f.StringArrayVar(&o.AllowHosts, "allow-host", nil, "`host` or host:port that may be reached although its address is not public; may be repeated")
	f.StringArrayVar(&o.CheckViews, "check-view", nil, "`name` of a published file, such as anchors.pem, to compare with the list; may be repeated")
	f.IntVar(&o.MaxChange.Entries, "max-change", 10, "`certificates` that may come, and that may go, at once without consent")
	f.IntVar(&o.MaxChange.Percent, "max-change-percent", 20, "`percent` of the certificates in use that --max-change may always be")
	must(c.MarkFlagRequired("url"))
	must(c.MarkFlagRequired("target"))
	complete(c, "target", subscription.TargetKinds()...)
	return c
}

// subscribing is what "init" is told.
type subscribing struct {
	subscription.Config
	rules
	anchor  string
	targets []string
}

func (t *tool) subscribe(ctx context.Context, dir string, o subscribing) (err error) {
	if o.Select, err = o.selection(); err != nil {
		return err
	}
	for _, s := range o.targets {
		kind, link, _ := strings.Cut(s, "=")
		o.Targets = append(o.Targets, subscription.Target{Kind: kind, Link: link})
	}
	o.Fingerprint = strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(o.Fingerprint))
	anchor, err := t.anchorOf(ctx, o)
	if err != nil {
		return err
	}
	if o.Fingerprint == "" {
		o.Fingerprint = subscription.Fingerprint(anchor)
	}
	text, err := encodeSubscription(o.Config)
	if err != nil {
		return err
	}
	if _, err := subscription.Create(dir, o.Config, anchor, subscription.Options{}); err != nil {
		return err
	}
	if err := writeFile(subscriptionFile(dir), text); err != nil {
		return err
	}
	v := struct {
		Directory string      `json:"directory"`
		URL       string      `json:"url"`
		Anchor    certificate `json:"anchor"`
	}{dir, o.URL, newCertificate(anchor.Raw)}
	var r rows
	r.add("directory", dir)
	r.add("list", o.URL)
	r.add("anchor", v.Anchor.Subject)
	r.add("anchor SHA-256", v.Anchor.SHA256)
	if err := t.emit(v, nil, r); err != nil {
		return err
	}
	t.note("nothing is trusted yet: bridgectl list subscribe run %s", dir)
	return nil
}

// anchorOf is the certificate to pin. It is never taken from the network without
// a fingerprint.
func (t *tool) anchorOf(ctx context.Context, o subscribing) (*x509.Certificate, error) {
	if o.anchor != "" {
		return readCertificate(o.anchor)
	}
	if o.Fingerprint == "" {
		return nil, withHint(fault.New(fault.Invalid, "no anchor to pin"),
			"give the bridge CA's certificate with --anchor, or its SHA-256 with --fingerprint; ask the bridge for it by another way than the list's")
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fault.New(fault.Invalid, "--url: %w", err)
	}
	der, err := t.download(ctx, u.ResolveReference(&url.URL{Path: "bridge-ca.cer"}).String(), o.AllowHosts)
	if err != nil {
		return nil, fmt.Errorf("the bridge's certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the bridge's certificate: %w", err)
	}
	if got := subscription.Fingerprint(c); got != o.Fingerprint {
		return nil, no{fmt.Errorf("the certificate beside the list has the SHA-256 %s, and not %s", got, o.Fingerprint)}
	}
	return c, nil
}

func (t *tool) subscribeRun() *cobra.Command {
	var accept int64
	var every time.Duration
	c := &cobra.Command{
		Use: "run DIR", Short: "Fetch the list and put it into use", Args: cobra.ExactArgs(1),
		Long: `Fetches the list, checks it against the one in use, and swaps the targets if it
may follow: all of them or none. What is refused is named, and the last good list
stays. Then the command runs, if something changed.

A change of many certificates at once, a number far ahead and a signer that was not
announced need consent: --accept-change with the number of the list, after asking
the bridge.

With --every it stays and repeats that, with up to a tenth of the time added at
random, until it is told to end, and exits 0. With --output json each time is an
object.

Exit codes: 0 the machine trusts what the bridge says now; 6 the list cannot be had
but the last one is in force, or the command failed; 7 the list was refused, or the
last one has expired, or nothing in it is selected.

` + reportHelp,
		RunE: t.run(func(ctx context.Context, args []string) error {
			s, err := t.openSubscription(args[0])
			if err != nil {
				return err
			}
			update := func(ctx context.Context) error {
				r, err := s.Update(ctx, accept)
				if err != nil {
					return err
				}
				return t.emitSubscribed(r)
			}
			if every == 0 {
				return update(ctx)
			}
			return t.stay(ctx, every, update)
		}),
	}
	c.Flags().Int64Var(&accept, "accept-change", 0, "`number` of the list to accept although it would need consent")
	c.Flags().DurationVar(&every, "every", 0, "`time` between two updates, such as 1h, to stay")
	return c
}

// stay repeats f, and reports on each time, until a signal tells it to end.
func (t *tool) stay(ctx context.Context, every time.Duration, f func(context.Context) error) error {
	if every < time.Second {
		return fault.New(fault.Invalid, "--every: want a second or more, such as 1h")
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	for {
		t.emitted = false
		if err := f(ctx); ctx.Err() == nil {
			t.report(err)
		}
		select {
		case <-ctx.Done():
			t.emitted = true
			return nil
		case <-time.After(every + rand.N(every/10)):
		}
	}
}

func (t *tool) subscribeStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status DIR", Short: "Say whether this machine trusts what it should", Args: cobra.ExactArgs(1),
		Long: `Says without the network which list is in use, whether it is in force, whether the
targets are those made from it, and how the last update ended. Exit codes as those
of "run".

` + reportHelp,
		RunE: t.run(func(_ context.Context, args []string) error {
			s, err := t.openSubscription(args[0])
			if err != nil {
				return err
			}
			r, err := s.Status()
			if err != nil {
				return err
			}
			return t.emitSubscribed(r)
		}),
	}
}

func (t *tool) openSubscription(dir string) (*subscription.Subscription, error) {
	c, err := readSubscription(dir)
	if err != nil {
		return nil, err
	}
	return subscription.Open(dir, c, subscription.Options{Timeout: t.timeout})
}

// verdict is the error, and so the exit code, that a report stands for.
func verdict(r *subscription.Report) error {
	switch {
	case r.State == subscription.Refused:
		err := no{fmt.Errorf("refused, %s: %s", r.Attack, r.Problem)}
		if r.Consentable {
			return withHint(err, "ask the bridge; if it is right, --accept-change with the number of the list")
		}
		return err
	case r.State == subscription.Unreachable:
		return fault.New(fault.Unavailable, "%s; list %d stays in use until %s", r.Problem, r.Number, stamp(r.NextUpdate))
	case !r.OK():
		return no{errors.New(r.Problem)}
	case r.Command != "":
		return fault.New(fault.Unavailable, "%s; it runs again at the next update", r.Command)
	}
	return nil
}

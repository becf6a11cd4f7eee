package checkup_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"bridge.example/internal/checkup"
	"bridge.example/internal/lab"
	"bridge.example/internal/outbound"
)

const level = "1.3.6.1.4.1.32473.1.1"

// zone is a resolver with a few names.
type zone struct {
	addresses map[string][]string // 127.0.0.1 when missing
	texts     map[string][]string
}

func (z zone) LookupNetIP(_ context.Context, _, host string) (out []netip.Addr, err error) {
	for _, s := range z.addresses[host] {
		out = append(out, netip.MustParseAddr(s))
	}
	if out == nil {
		out = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	}
	return out, nil
}

func (z zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	if t, ok := z.texts[name]; ok {
		return t, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// organisation is a simulated member that passes every check that must hold.
func organisation(t *testing.T, spec lab.Spec) *lab.Organisation {
	t.Helper()
	o, err := lab.New(t.TempDir(), spec, lab.Ports{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	if err := o.Start(); err != nil {
		t.Fatal(err)
	}
	return o
}

var loopback = outbound.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

// world is an application and what can be reached from where it is examined.
type world struct {
	checkup.Subject
	checkup.Reach
}

func newWorld(o *lab.Organisation) *world {
	a := o.Application(level)
	w := &world{Subject: checkup.Subject{Application: a}}
	w.Reach = checkup.Reach{
		Dial: outbound.Dial(loopback), Client: outbound.Client(loopback), Levels: []string{level},
		Resolver: zone{texts: map[string][]string{"_bridge-challenge." + a.MailDomains[0]: {checkup.Challenge(a)}}},
		Password: func(string) ([]byte, error) { return []byte(o.Spec.Password), nil },
	}
	return w
}

func (w *world) examine(t *testing.T) checkup.Report {
	t.Helper()
	r, err := checkup.Examine(t.Context(), w.Subject, w.Reach)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fails are the ids of checks with this verdict, each once.
func with(r checkup.Report, v checkup.Verdict) string {
	var out []string
	for _, f := range r.Findings {
		if f.Verdict == v && (len(out) == 0 || out[len(out)-1] != f.ID) {
			out = append(out, f.ID)
		}
	}
	return strings.Join(out, " ")
}

func logAll(t *testing.T, r checkup.Report) {
	for _, f := range r.Findings {
		t.Logf("%s %s %s %v %q %s", f.ID, f.Verdict, f.Subject, f.Took, f.Evidence, f.Fix)
	}
}

func TestGood(t *testing.T) {
	for _, tt := range []struct {
		spec  lab.Spec
		warns string
	}{
		{lab.Alpha(), "D3 D6"},
		{lab.Beta(), "D3 D6 D10"}, // a domain controller adds references
	} {
		t.Run(tt.spec.ID, func(t *testing.T) {
			t.Parallel()
			r := newWorld(organisation(t, tt.spec)).examine(t)
			if !r.Passed() || with(r, checkup.Warn) != tt.warns {
				t.Errorf("got failures %q, warnings %q, want none and %q", with(r, checkup.Fail), with(r, checkup.Warn), tt.warns)
				logAll(t, r)
			}
			if got, want := with(r, checkup.Skipped), "C8 C9 D8 V3 V9 I1 I2 I3 I4"; got != want {
				t.Errorf("skipped are %q, want %q", got, want)
			}
		})
	}
}

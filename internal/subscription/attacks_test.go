package subscription_test

import (
	"bytes"
	"crypto/x509"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/outbound"
	"bridge.example/internal/subscription"
	"bridge.example/internal/wire/cms"
	"bridge.example/signedlist"
)

// TestAttacks wants of each attack on a subscriber that it is named and that no
// byte changes of what other programs read; and that the bridge's own next list
// is taken afterwards.
func TestAttacks(t *testing.T) {
	alpha, beta, evil := entry(t, "alpha"), entry(t, "beta"), entry(t, "evil")
	for _, attack := range []struct {
		name string
		want subscription.Attack
		make func(t *testing.T, b *bridge)
	}{
		{"rollback", subscription.Rollback, func(_ *testing.T, b *bridge) {
			b.answer(b.archive.lists[0])
		}},
		{"freeze", subscription.Freeze, func(_ *testing.T, b *bridge) {
			b.answer(b.archive.lists[1])
			b.now = b.now.AddDate(0, 0, 8)
		}},
		{"freeze by 304", subscription.Freeze, func(_ *testing.T, b *bridge) {
			b.now = b.now.AddDate(0, 0, 8) // and the repository says that nothing is new
		}},
		{"mix and match", subscription.MixAndMatch, func(t *testing.T, b *bridge) {
			other := b.fork(1)
			other.publish(t, alpha, beta)
			b.answer(other.publish(t, alpha, evil))
		}},
		{"fast-forward", subscription.FastForward, func(t *testing.T, b *bridge) {
			b.answer(resign(t, b, b.Signer, func(as []cms.Attribute) {
				i := slices.IndexFunc(as, func(a cms.Attribute) bool { return strings.HasSuffix(a.Type.String(), ".1") })
				as[i].Values = [][]byte{{2, 8, 0x10, 0, 0, 0, 0, 0, 0, 0}} // INTEGER
			}))
		}},
		{"endless body", subscription.EndlessBody, func(_ *testing.T, b *bridge) {
			b.handle(func(w http.ResponseWriter, _ *http.Request) {
				for chunk, err := make([]byte, 1<<20), error(nil); err == nil; _, err = w.Write(chunk) {
				}
			})
		}},
		{"wrong signer", subscription.WrongSigner, func(t *testing.T, b *bridge) {
			other := newBridge(t)
			other.publish(t, alpha)
			other.publish(t, beta)
			b.answer(other.publish(t, evil))
		}},
		{"a certificate of the bridge's that is not for lists", subscription.WrongSigner, func(t *testing.T, b *bridge) {
			b.answer(resign(t, b, issue(t, "Mail", b.ca, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })))
		}},
		{"expired signer", subscription.LateSigner, func(t *testing.T, b *bridge) {
			b.answer(resign(t, b, issue(t, "Old signer", b.ca, func(c *x509.Certificate) {
				signsLists(c)
				c.NotAfter = noon.Add(time.Hour)
			})))
		}},
		{"signer not announced", subscription.OtherSigner, func(t *testing.T, b *bridge) {
			other := b.fork(2)
			other.Signer = issue(t, "Another signer", b.ca, signsLists)
			b.answer(other.publish(t, alpha, evil))
		}},
		{"swapped view", subscription.SwappedView, func(t *testing.T, b *bridge) {
			list, _ := b.file("list.p7s")
			other := b.fork(2)
			other.publish(t, alpha, beta, evil)
			view, _ := other.file("anchors.pem")
			b.handle(func(w http.ResponseWriter, r *http.Request) {
				w.Write(map[string][]byte{"list.p7s": list, "anchors.pem": view}[path.Base(r.URL.Path)])
			})
		}},
		{"truncated", subscription.Truncated, func(_ *testing.T, b *bridge) {
			b.handle(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "5000")
				w.Write(b.archive.lists[1][:500])
			})
		}},
		{"truncated with its length made to fit", subscription.Altered, func(_ *testing.T, b *bridge) {
			b.answer(b.archive.lists[1][:500])
		}},
		{"one bit changed", subscription.Altered, func(t *testing.T, b *bridge) {
			der := bytes.Clone(b.fork(2).publish(t, alpha))
			der[len(der)/2] ^= 1
			b.answer(der)
		}},
		{"replayed number with other content", subscription.OtherContent, func(t *testing.T, b *bridge) {
			b.answer(b.fork(1).publish(t, alpha, evil))
		}},
		{"clock set back", subscription.ClockSetBack, func(_ *testing.T, b *bridge) {
			b.now = b.now.Add(-time.Hour)
		}},
	} {
		t.Run(attack.name, func(t *testing.T) {
			t.Parallel()
			b := newBridge(t)
			dir := filepath.Join(t.TempDir(), "subscription")
			c := b.config()
			c.CheckViews = []string{"anchors.pem"}
			s := create(t, dir, b, c, subscription.Options{})
			b.publish(t, alpha)
			b.now = b.now.Add(time.Hour)
			b.publish(t, alpha, beta)
			b.now = b.now.Add(time.Hour)
			if r := update(t, s); r.State != subscription.Changed {
				t.Fatalf("got %+v", r)
			}
			before, then := snapshot(t, dir), b.now

			attack.make(t, b)
			r := update(t, s)
			if r.State != subscription.Refused || r.Attack != attack.want || r.OK() {
				t.Errorf("got %s, %s: %s; want refused, %s", r.State, r.Attack, r.Problem, attack.want)
			}
			unchanged(t, dir, before)
			if r, err := s.Status(); err != nil || r.OK() {
				t.Errorf("status after it: got %+v, %v", r, err)
			}

			b.serve.Store(nil)
			b.now = maxTime(b.now, then).Add(time.Hour)
			b.publish(t, alpha)
			if r := update(t, s); r.State != subscription.Changed || r.Selected != 1 {
				t.Errorf("the next list: got %+v", r)
			}
		})
	}
}

// A body that does not end is no better for coming slowly.
func TestDrip(t *testing.T) {
	b := newBridge(t)
	b.publish(t, entry(t, "alpha"))
	_, dir := bound(t, b, asIs)
	b.handle(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	before := snapshot(t, dir)
	s, err := subscription.Open(dir, b.config("pem", "directory"), subscription.Options{Now: b.clock, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, update(t, s), subscription.Refused, subscription.EndlessBody)
	if after := snapshot(t, dir); !maps.Equal(before, after) {
		t.Errorf("got %v, want %v", after, before)
	}
}

// TestOtherHost has the name of the repository lead elsewhere.
func TestOtherHost(t *testing.T) {
	b := newBridge(t)
	b.publish(t, entry(t, "alpha"))
	inside := newBridge(t)
	inside.publish(t, entry(t, "evil"))
	u, err := url.Parse(b.url)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := net.Listen("tcp", "127.0.0.2:"+u.Port())
	if err != nil {
		t.Skipf("no second address on loopback: %v", err)
	}
	server := &httptest.Server{Listener: elsewhere, Config: &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the other host was reached")
	})}}
	server.Start()
	defer server.Close()

	dns := newNames(t)
	dns.set(netip.MustParseAddr("127.0.0.1"))
	c := b.config()
	c.URL = "http://bridge.example:" + u.Port() + "/list.p7s"
	dir := filepath.Join(t.TempDir(), "subscription")
	s := create(t, dir, b, c, subscription.Options{Outbound: outbound.Policy{
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Resolver: dns.resolver(),
	}})
	if r := update(t, s); r.State != subscription.Changed {
		t.Fatalf("got %+v", r)
	}
	before := snapshot(t, dir)
	dns.set(netip.MustParseAddr("127.0.0.2"))
	s, err = subscription.Open(dir, c, subscription.Options{Now: b.clock, Outbound: outbound.Policy{
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Resolver: dns.resolver(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r := update(t, s); r.State != subscription.Refused || r.Attack != subscription.OtherHost {
		t.Errorf("got %+v", r)
	}
	unchanged(t, dir, before)
}

func unchanged(t *testing.T, dir string, before map[string]string) {
	t.Helper()
	if after := snapshot(t, dir); !maps.Equal(before, after) || len(after) < 5 {
		t.Errorf("targets changed: got %v, want %v", after, before)
	}
}

// resign is the list in use, signed by another, or with other attributes.
func resign(t *testing.T, b *bridge, by *signedlist.Signer, edits ...func([]cms.Attribute)) []byte {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(b.ca.Cert)
	v, err := cms.Verify(b.archive.lists[1], roots, b.now)
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range edits {
		edit(v.Attributes)
	}
	der, err := cms.Sign(v.Content, v.ContentType, *by, cms.SignOptions{At: v.SigningTime, Attributes: v.Attributes})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

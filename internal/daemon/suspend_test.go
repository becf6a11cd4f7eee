package daemon_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"bridge.example/internal/lab"
	"bridge.example/internal/setup/config"
)

// oneShot keeps no connections, so that none of them outlives a test.
var oneShot = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}

// What a question about a user came to.
const (
	found   = "found"   // the certificate; good
	nothing = "nothing" // no entry; unauthorized
)

// askDirectory asks over c for a user's certificate.
func askDirectory(c *ldapClient, u lab.User) (string, error) {
	w := ber{}
	got, err := c.ask(w.message(1, w.search(query{dn: "o=bridge", filter: w.equal("mail", u.Mail), attributes: []string{certificateType}})))
	switch {
	case err != nil:
		return "", err
	case got.result.Code != success:
		return fmt.Sprintf("result %d", got.result.Code), nil
	case len(got.entries) == 0:
		return nothing, nil
	}
	certs, _ := got.entries[0].values(certificateType)
	if len(certs) != 1 || !bytes.Equal(certs[0], u.Certificate.Raw) {
		return "", fmt.Errorf("%d certificates, none of which is asked for", len(certs))
	}
	return found, nil
}

// askResponder asks for a certificate's status by POST, as most clients do.
func askResponder(addr string, c, issuer *x509.Certificate) (string, error) {
	request, err := xocsp.CreateRequest(c, issuer, nil)
	if err != nil {
		return "", err
	}
	resp, err := oneShot.Post("http://"+addr+"/", "application/ocsp-request", bytes.NewReader(request))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	der, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	switch r, err := xocsp.ParseResponseForCert(der, c, issuer); {
	case bytes.Equal(der, xocsp.UnauthorizedErrorResponse):
		return nothing, nil
	case bytes.Equal(der, xocsp.TryLaterErrorResponse):
		return "tryLater", nil
	case err != nil:
		return "", err
	case r.Status != xocsp.Good:
		return fmt.Sprintf("status %d", r.Status), nil
	}
	return found, nil
}

// flood asks about one user again and again, and checks each answer against
// what was decided before the question was put.
type flood struct {
	settled *atomic.Int64 // even: the member is in force; odd: suspended; negative: being decided
	ask     func() (string, error)
	errs    chan error
	answers atomic.Int64
}

func (f *flood) run(ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		default:
		}
		before := f.settled.Load()
		got, err := f.ask()
		want := found
		if before&1 == 1 {
			want = nothing
		}
		if err == nil && before >= 0 && before == f.settled.Load() && got != want {
			err = fmt.Errorf("after decision %d: got %s, want %s", before, got, want)
		}
		if err != nil {
			f.errs <- err
			return
		}
		f.answers.Add(1)
	}
}

// TestSuspendUnderLoad suspends a member and brings it back while questions
// pour in. Once the officer's call has returned, no question put later may be
// answered the old way; the other member's users never notice.
func TestSuspendUnderLoad(t *testing.T) {
	alpha, beta := organisation(t, alphaSpec()), organisation(t, betaSpec())
	b := start(t, "o=bridge", func(*config.Config) {}, alpha, beta)
	b.admit(t, b.application(t, alpha))
	b.admit(t, b.application(t, beta))

	var decided, always atomic.Int64
	errs := make(chan error, 8)
	var floods []*flood
	for m, settled := range map[*lab.Organisation]*atomic.Int64{alpha: &always, beta: &decided} {
		u := user(t, m)
		for range 2 {
			c := dialLDAP(t, b.Directory)
			floods = append(floods,
				&flood{settled: settled, errs: errs, ask: func() (string, error) { return askDirectory(c, u) }},
				&flood{settled: settled, errs: errs, ask: func() (string, error) {
					return askResponder(b.Responder, u.Certificate, m.Issuing.Certificate)
				}})
		}
	}
	ended := make(chan struct{})
	var wg sync.WaitGroup
	for _, f := range floods {
		wg.Go(func() { f.run(ended) })
	}
	defer func() {
		close(ended)
		wg.Wait()
	}()
	// asked waits until every flood has had more answers since.
	asked := func() {
		t.Helper()
		deadline := time.After(20 * time.Second)
		for _, f := range floods {
			for from, tick := f.answers.Load(), time.NewTicker(time.Millisecond); f.answers.Load() < from+3; {
				select {
				case err := <-errs:
					t.Fatal(err)
				case <-deadline:
					t.Fatal("the flood has dried up")
				case <-tick.C:
				}
			}
		}
	}
	asked()
	for decision := int64(0); decision < 4; decision += 2 {
		decided.Store(-1)
		b.suspend(t, "beta")
		decided.Store(decision + 1)
		asked()
		decided.Store(-1)
		b.resume(t, "beta")
		decided.Store(decision + 2)
		asked()
	}
}

// TestSuspendCatchesAnswersUnderWay suspends a member that has been asked and
// has not answered yet. The officer does not wait for it, and its answer, when
// it comes at last, goes to nobody.
func TestSuspendCatchesAnswersUnderWay(t *testing.T) {
	beta := organisation(t, betaSpec())
	b := start(t, "o=bridge", func(c *config.Config) {
		c.Directory.MemberTimeout, c.Responder.MemberTimeout = time.Minute, time.Minute
	}, beta)
	directory, responder := gated(t, b, beta)
	directory.shut()
	responder.shut()

	u, c := user(t, beta), dialLDAP(t, b.Directory)
	type outcome struct {
		got string
		err error
	}
	answers := make(chan outcome, 2)
	go func() {
		got, err := askDirectory(c, u)
		answers <- outcome{"directory: " + got, err}
	}()
	go func() {
		got, err := askResponder(b.Responder, u.Certificate, beta.Issuing.Certificate)
		answers <- outcome{"responder: " + got, err}
	}()
	<-directory.asked
	<-responder.asked
	b.suspend(t, "beta")
	directory.pull()
	responder.pull()
	for range 2 {
		if a := <-answers; a.err != nil || a.got == "directory: "+found || a.got == "responder: "+found {
			t.Errorf("suspended while the question was under way: got %s, %v", a.got, a.err)
		}
	}
}

// gated admits m with a gate before its directory and one before its responder.
func gated(t *testing.T, b *bridge, m *lab.Organisation) (directory, responder *gate) {
	t.Helper()
	directory = newGate(t, fmt.Sprintf("127.0.0.1:%d", m.Ports.LDAP))
	responder = newGate(t, fmt.Sprintf("127.0.0.1:%d", m.Ports.OCSP))
	a := b.application(t, m)
	a.Directories[0].URL = "ldap://" + directory.addr
	a.Intermediates[0].OCSP = []string{"http://" + responder.addr + "/"}
	b.admit(t, a)
	return directory, responder
}

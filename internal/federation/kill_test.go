package federation_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
)

// What the process that gets killed says, one line each: a verb and a value.
const (
	envKillDir = "BRIDGE_KILL_DIR"
	// Said before the key is used, so nothing is signed that was not heard of.
	signsCert = "signs-certificate" // hex DER TBSCertificate
	signsCRL  = "signs-crl"         // number
	// Said after the step is done.
	issued  = "issued"  // decimal serial
	revoked = "revoked" // decimal serial
	made    = "crl"     // number
)

// TestKill kills a bridge CA that issues, revokes and makes CRLs as fast as it
// can, with SIGKILL and at random moments: a hundred times, and each life goes
// on with the ledger that the last one left.
func TestKill(t *testing.T) {
	const lineages, lives = 2, 50
	for range lineages {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed=%x", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			l := newLineage(t)
			for life := range lives {
				l.live(t, random.IntN(24), time.Duration(random.IntN(5000))*time.Microsecond)
				l.check(t)
				if t.Failed() {
					t.Fatalf("in life %d", life)
				}
			}
			l.end(t)
		})
	}
}

// lineage is what was heard and seen of one ledger in all lives so far.
type lineage struct {
	dir    string
	ledger map[string]crosscert.Stage // of every serial, as found after the last life
	acked  map[string]crosscert.Stage // the last that was acknowledged of a serial
	signed map[string][]byte          // by serial, the TBSCertificate for which the key was used

	signedCRL, ackedCRL int64 // the highest number each
}

// newLineage founds a bridge, whose signers have certificates already.
func newLineage(t *testing.T) *lineage {
	t.Helper()
	l := &lineage{dir: found(t), ledger: map[string]crosscert.Stage{}, acked: map[string]crosscert.Stage{}, signed: map[string][]byte{}}
	store, err := boltstore.Open(statedir.Dir(l.dir).Store())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for r, err := range store.Ledger().Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		l.ledger[r.Serial.String()] = r.Stage
	}
	return l
}

// live runs one life, until the delay is over after so many lines.
func (l *lineage) live(t *testing.T, lines int, delay time.Duration) {
	t.Helper()
	outlive(t, "TestKillChild", []string{envKillDir + "=" + l.dir}, lines, delay, func(line string) {
		verb, value, _ := strings.Cut(line, " ")
		l.hear(t, verb, value)
	})
}

// outlive runs a test as a process of its own, hears every line that it says,
// and kills it when the delay is over after so many lines.
func outlive(t *testing.T, test string, env []string, lines int, delay time.Duration, hear func(line string)) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), env...)
	var said bytes.Buffer // by a child that fails
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }) // should it hang
	defer kill.Stop()
	r := bufio.NewReader(out)
	for n := 0; ; n++ {
		if n == lines {
			kill.Reset(delay)
		}
		line, err := r.ReadString('\n')
		if err == io.EOF {
			break // half a line was never finished: what it announces did not happen
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, "--- FAIL") { // it ends by itself; let it say why
			rest, _ := io.ReadAll(r)
			said.WriteString(line + string(rest))
			break
		}
		hear(strings.TrimSpace(line))
	}
	err = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended with %v:\n%s", err, &said)
	}
}

func (l *lineage) hear(t *testing.T, verb, value string) {
	t.Helper()
	var number int64
	if verb == signsCRL || verb == made {
		if _, err := fmt.Sscan(value, &number); err != nil {
			t.Fatalf("%s %s: %v", verb, value, err)
		}
	}
	switch verb {
	case signsCert:
		tbs, err := hex.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(unsigned(tbs))
		if err != nil {
			t.Fatal(err)
		}
		if s := c.SerialNumber.String(); l.signed[s] != nil || l.ledger[s] != "" {
			t.Errorf("serial %s is used again", s)
		} else {
			l.signed[s] = tbs
		}
	case signsCRL:
		if number <= l.signedCRL {
			t.Errorf("CRL %d is signed after CRL %d", number, l.signedCRL)
		}
		l.signedCRL = number
	case issued:
		l.acked[value] = crosscert.Issued
	case revoked:
		l.acked[value] = crosscert.Revoked
	case made:
		if number < l.ackedCRL {
			t.Errorf("CRL %d is published after CRL %d", number, l.ackedCRL)
		}
		l.ackedCRL = number
	default:
		t.Fatalf("the child says %q", verb+" "+value)
	}
}

// after tells in which order the stages of a certificate follow each other.
var after = map[crosscert.Stage]int{crosscert.Intended: 1, crosscert.Issued: 2, crosscert.Revoked: 3}

// check holds the ledger to what was heard and to what it said before.
func (l *lineage) check(t *testing.T) {
	t.Helper()
	store, err := boltstore.Open(statedir.Dir(l.dir).Store())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ca, err := statedir.Dir(l.dir).ReadCertificate(statedir.BridgeCA)
	if err != nil {
		t.Fatal(err)
	}
	now := map[string]crosscert.Stage{}
	for r, err := range store.Ledger().Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		s := r.Serial.String()
		if now[s] != "" {
			t.Errorf("serial %s is there twice", s)
		}
		now[s] = r.Stage
		if tbs := l.signed[s]; tbs != nil && !bytes.Equal(tbs, r.ToBeSigned) {
			t.Errorf("serial %s: what was signed is not what was intended", s)
		}
		if after[r.Stage] == 0 || (r.Stage == crosscert.Revoked) == r.RevokedAt.IsZero() ||
			(r.Stage == crosscert.Issued && r.Certificate == nil) || (r.Stage == crosscert.Intended && r.Certificate != nil) {
			t.Errorf("serial %s is %s since %v, with %d bytes of certificate", s, r.Stage, r.RevokedAt, len(r.Certificate))
		}
		if r.Certificate == nil || after[l.ledger[s]] >= after[crosscert.Issued] {
			continue // nothing to look at, or seen already
		}
		if l.signed[s] == nil {
			t.Errorf("serial %s has a certificate for which the key was not used", s)
		}
		c, err := x509.ParseCertificate(r.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(c.RawTBSCertificate, r.ToBeSigned) || c.SerialNumber.Cmp(r.Serial) != 0 || c.CheckSignatureFrom(ca) != nil {
			t.Errorf("serial %s: the certificate is not the one intended", s)
		}
	}
	for s := range l.signed {
		if now[s] == "" {
			t.Errorf("serial %s was signed and has no record", s)
		}
	}
	for _, before := range []map[string]crosscert.Stage{l.ledger, l.acked} {
		for s, stage := range before {
			if after[now[s]] < after[stage] {
				t.Errorf("serial %s was %s and is now %q", s, stage, now[s])
			}
		}
	}
	l.ledger = now
	if n, _, err := store.Ledger().LatestCRL(t.Context(), 1); l.ackedCRL > 0 && (err != nil || n < l.ackedCRL || n > l.signedCRL) {
		t.Errorf("the stored CRL is %d (%v); %d was published, %d signed", n, err, l.ackedCRL, l.signedCRL)
	}
}

// end lets the last life end in peace: everything revoked is on its CRL.
func (l *lineage) end(t *testing.T) {
	t.Helper()
	a, _, err := killable(t, l.dir, func(verb, value string) { l.hear(t, verb, value) })
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	crl, err := a.CRL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, e := range crl.RevokedCertificateEntries {
		listed[e.SerialNumber.String()] = true
	}
	for s, stage := range l.ledger {
		if listed[s] != (stage != crosscert.Issued) {
			t.Errorf("serial %s was %s; on the last CRL: %v", s, stage, listed[s])
		}
	}
	if len(l.signed) < 50 || l.signedCRL < 50 {
		t.Errorf("only %d certificates and %d CRLs were made in all lives", len(l.signed), l.signedCRL)
	}
}

// TestKillChild is the process that gets killed.
func TestKillChild(t *testing.T) {
	dir := os.Getenv(envKillDir)
	if dir == "" {
		t.Skip("run by TestKill")
	}
	say := func(verb, value string) {
		if _, err := fmt.Println(verb, value); err != nil {
			t.Fatal(err)
		}
	}
	a, r, err := killable(t, dir, say)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	for {
		if err := step(t.Context(), a, r, say); err != nil {
			t.Fatal(err)
		}
	}
}

// step issues one more certificate and revokes the one before it.
func step(ctx context.Context, a *crosscert.Authority, r crosscert.Request, say func(verb, value string)) error {
	live, err := a.Live(ctx, r.Member)
	if err != nil {
		return err
	}
	c, err := a.Issue(ctx, r)
	if err != nil {
		return err
	}
	say(issued, c.SerialNumber.String())
	for _, c := range live {
		if err := a.Revoke(ctx, c.SerialNumber, crosscert.Superseded); err != nil {
			return err
		}
		say(revoked, c.SerialNumber.String())
	}
	crl, err := a.CRL(ctx)
	if err != nil {
		return err
	}
	say(made, crl.Number.String())
	return nil
}

// killable opens the bridge CA of a state directory, whose key says what it is
// about to sign, and a request for it.
func killable(t *testing.T, dir string, say func(verb, value string)) (a *crosscert.Authority, r crosscert.Request, err error) {
	t.Helper()
	d := statedir.Dir(dir)
	cert, err := d.ReadCertificate(statedir.BridgeCA)
	if err != nil {
		return nil, r, err
	}
	key, err := keys.Open(d.Key(statedir.BridgeCA), nil)
	if err != nil {
		return nil, r, err
	}
	store, err := boltstore.Open(d.Store())
	if err != nil {
		return nil, r, err
	}
	t.Cleanup(func() { store.Close() })
	root, err := os.ReadFile(filepath.Join(dir, "alpha.der"))
	if err != nil {
		return nil, r, err
	}
	r = crosscert.Request{Member: "alpha", MailDomains: []string{"alpha.example"}}
	if r.Subject, err = x509.ParseCertificate(root); err != nil {
		return nil, r, err
	}
	bridgePolicy, err1 := x509.ParseOID(level)
	policy, err2 := x509.ParseOID(memberPolicy)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	r.Mappings = []crosscert.Mapping{{Bridge: bridgePolicy, Member: policy}}
	a, err = crosscert.New(cert, outspoken{key, say}, store.Ledger(), crosscert.Options{
		BaseURL: "http://repository.example", Log: slog.New(slog.DiscardHandler),
	})
	return a, r, err
}

// outspoken is a key that says what it is about to sign.
type outspoken struct {
	crypto.Signer
	say func(verb, value string)
}

// SignMessage implements [crypto.MessageSigner].
func (o outspoken) SignMessage(rand io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	if crl, err := x509.ParseRevocationList(unsigned(msg)); err == nil {
		o.say(signsCRL, crl.Number.String())
	} else {
		o.say(signsCert, hex.EncodeToString(msg))
	}
	return crypto.SignMessage(o.Signer, rand, msg, opts)
}

// unsigned dresses to-be-signed bytes up as a certificate or CRL that parses.
// The algorithm must be the one inside (RFC 5280 §4.1.1.2).
func unsigned(tbs []byte) []byte {
	der, err := asn1.Marshal(struct {
		ToBeSigned asn1.RawValue
		Algorithm  pkix.AlgorithmIdentifier
		Signature  asn1.BitString
	}{
		asn1.RawValue{FullBytes: tbs},
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}, // ecdsa-with-SHA256
		asn1.BitString{Bytes: []byte{0}, BitLength: 8},
	})
	if err != nil {
		return nil
	}
	return der
}

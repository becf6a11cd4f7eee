package federation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"sync"
	"time"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

// Watching is how members in force are watched. The zero value watches nobody.
type Watching struct {
	// CRLs fetches what is at an http or ldap URL: CRLs in DER, nothing checked.
	// Nil turns the watching off.
	CRLs func(ctx context.Context, url string) ([][]byte, error)
	// Memory keeps what was learnt across restarts.
	Memory Memory
	// Every is the time between two rounds.
	Every time.Duration
	// CRLGrace is how long after the end of its CRL a member is suspended by
	// rule; 0 for never.
	CRLGrace time.Duration
}

// Seen is what watching remembers.
type Seen struct {
	// Standings are by the hex SHA-256 of the CA certificate.
	Standings map[string]Standing `json:"standings"`
	// Numbers are the highest CRL numbers ever seen, by key and scope.
	Numbers map[string]*big.Int `json:"numbers"`
	// Changes are how the newest report of a member differed from the one before.
	Changes map[membership.ID]Difference `json:"changes"`
}

// Difference is one between two reports.
type Difference struct {
	At    time.Time `json:"at"`
	Lines []string  `json:"lines"`
}

// Memory keeps Seen. An implementation is durable when Save returns, and safe
// for concurrent use.
type Memory interface {
	// Load returns what was saved last, or NotFound.
	Load(ctx context.Context) (Seen, error)
	Save(ctx context.Context, s Seen) error
}

const (
	// askAtOnce bounds the members asked at the same time, memberTime what one
	// of them may take: who hangs does not keep the others from being watched.
	askAtOnce  = 8
	memberTime = time.Minute
)

// Watch asks once about every CA certificate of every live member, at the CRLs
// and responders that are declared or named in the certificates. One that was
// revoked is barred, and leaves every projection before Watch returns, without
// anybody's approval. Whether one was revoked that could not be asked about is
// not guessed: the standing says so. Errors are those of register and memory.
func (f *Federation) Watch(ctx context.Context) error {
	f.watching.Lock()
	defer f.watching.Unlock()
	seen, err := f.Seen(ctx)
	if err != nil {
		return err
	}
	members, err := f.Register.Live(ctx)
	if err != nil {
		return fmt.Errorf("reading the register: %w", err)
	}
	old, numbers := seen.Standings, maps.Clone(seen.Numbers)
	if numbers == nil {
		numbers = map[string]*big.Int{}
	}
	seen = Seen{Standings: map[string]Standing{}, Numbers: numbers, Changes: seen.Changes}
	var mu sync.Mutex // guards seen
	var wg sync.WaitGroup
	slots := make(chan struct{}, askAtOnce)
	for _, m := range members {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f.watchMember(ctx, &m, &mu, &seen)
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err // half a round is none: what was not reached is not unknown
	}
	now := f.Now()
	for hash, s := range seen.Standings {
		seen.Standings[hash] = s.after(old[hash], now)
	}
	// What was seen is kept before anything follows from it.
	if err := f.Watching.Memory.Save(ctx, seen); err != nil {
		return err
	}
	var errs []error
	for _, m := range members {
		errs = append(errs, f.actOn(ctx, &m, seen.Standings))
	}
	return errors.Join(errs...)
}

// after is s with what is remembered from before.
func (s Standing) after(old Standing, now time.Time) Standing {
	if s.CRLEnds.IsZero() {
		s.CRLEnds = old.CRLEnds
	}
	switch {
	case s.Unknown == "" && s.CRLProblem == "":
	case old.Since.IsZero():
		s.Since = now
	default:
		s.Since = old.Since
	}
	return s
}

func (f *Federation) watchMember(ctx context.Context, m *membership.Member, mu *sync.Mutex, seen *Seen) {
	ctx, cancel := context.WithTimeout(ctx, memberTime)
	defer cancel()
	w, err := newWatched(m)
	if err != nil {
		f.Log.Error("reading the CA certificates of a member", "member", m.ID, "err", err)
		return
	}
	fetched := make([][][]byte, len(w.all))
	for i, a := range w.all {
		for _, url := range a.crls {
			lists, err := f.Watching.CRLs(ctx, url)
			a.err = errors.Join(a.err, err)
			fetched[i] = append(fetched[i], lists...)
		}
	}
	now := f.Now()
	mu.Lock()
	for i, a := range w.all {
		a.read(fetched[i], seen.Numbers)
	}
	mu.Unlock()
	for _, a := range w.all[:w.declared] {
		s := Standing{Member: m.ID, Subject: a.cert.Subject.String(), CheckedAt: now}
		if err := f.standing(ctx, w, a, now); errors.Is(err, pathval.ErrRevoked) {
			s.Revoked = err.Error()
		} else if err != nil && !now.After(a.cert.NotAfter) {
			s.Unknown = err.Error()
		}
		a.crlStanding(&s, now)
		mu.Lock()
		seen.Standings[fingerprint(a.cert.Raw)] = s
		mu.Unlock()
	}
}

// actOn carries out what the standings of a member's CA certificates demand.
func (f *Federation) actOn(ctx context.Context, m *membership.Member, standings map[string]Standing) error {
	var errs []error
	for _, ca := range slices.Concat(m.Anchors, m.Intermediates) {
		hash := fingerprint(ca.Certificate)
		s := standings[hash]
		if s.Revoked != "" && !m.IsBarred(ca.Certificate) {
			f.Log.Warn("a member's CA certificate was revoked", "member", m.ID, "subject", s.Subject, "sha256", hash, "err", s.Revoked)
			barred, err := f.Register.Bar(ctx, m.ID, hash, "the CA certificate was revoked: "+s.Revoked)
			if err != nil {
				errs = append(errs, fmt.Errorf("barring %s of %s: %w", hash, m.ID, err))
				continue
			}
			f.follow(ctx, barred)
		}
		if g := f.Watching.CRLGrace; g > 0 && s.crlEnded && m.Served() && m.State != membership.Exiting && f.Now().Sub(s.CRLEnds) > g {
			_, err := f.Decide(ctx, m.ID, membership.Decision{
				Verb: membership.Suspend, By: membership.Bridge(),
				Reason: fmt.Sprintf("the CRL of %s ended at %s, and none came for %v", s.Subject, s.CRLEnds.Format(time.RFC3339), g),
			})
			if err != nil {
				errs = append(errs, fmt.Errorf("suspending %s: %w", m.ID, err))
			}
			m.Halted = true // once is enough
		}
	}
	return errors.Join(errs...)
}

// runWatch makes a round at once and then every so often, until ctx ends.
func (f *Federation) runWatch(ctx context.Context) {
	for f.Watching.CRLs != nil {
		if err := f.Watch(ctx); err != nil && ctx.Err() == nil {
			f.Log.Error("watching members", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(f.Watching.Every):
		}
	}
}

// Seen returns what watching remembers; nothing before its first round.
func (f *Federation) Seen(ctx context.Context) (Seen, error) {
	if f.Watching.Memory == nil {
		return Seen{}, nil
	}
	s, err := f.Watching.Memory.Load(ctx)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return Seen{}, err
	}
	return s, nil
}

func fingerprint(der []byte) string {
	h := sha256.Sum256(der)
	return hex.EncodeToString(h[:])
}

package vocsp

import (
	"context"
	"sync"
	"time"

	"bridge.example/internal/wire/ocsp"
)

// maxAge bounds how long an answer is kept, however far its nextUpdate is: a
// member's revocation should be seen by all within the minute.
const maxAge = time.Minute

// Cached keeps up to so many answers of s about single certificates, each until
// its nextUpdate and for a minute at most. Requests with a nonce or any other
// extension pass it by. A full cache drops an entry at random: under a flood of
// made-up serials that costs popular entries least. It forgets everything at
// [Proxy.SetRoutes].
func Cached(s Source, entries int, now func() time.Time) Source {
	return &cache{source: s, entries: entries, now: now, answers: map[string]answer{}}
}

type cache struct {
	source  Source
	entries int
	now     func() time.Time

	mu      sync.Mutex
	epoch   int               // counts Forget
	answers map[string]answer // by CertID in DER
}

type answer struct {
	response *ocsp.Response
	until    time.Time
}

func (c *cache) Status(ctx context.Context, r *ocsp.Request) (*ocsp.Response, error) {
	if len(r.Singles) != 1 || len(r.Extensions)+len(r.Singles[0].Extensions) > 0 {
		return c.source.Status(ctx, r)
	}
	id := r.Singles[0].ID
	kept, epoch := c.load(string(id.Raw))
	if kept != nil {
		return kept, nil
	}
	resp, err := c.source.Status(ctx, r)
	if err == nil {
		c.keep(id, resp, epoch)
	}
	return resp, err
}

func (c *cache) load(key string) (*ocsp.Response, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.answers[key]; ok && c.now().Before(a.until) {
		return a.response, c.epoch
	}
	return nil, c.epoch
}

// keep stores an answer, unless it was asked for before the last Forget.
func (c *cache) keep(id ocsp.CertID, resp *ocsp.Response, epoch int) {
	now := c.now()
	until := now.Add(maxAge)
	s, err := resp.Single(id)
	if err != nil {
		return
	}
	if s.NextUpdate.Before(until) {
		until = s.NextUpdate
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch != c.epoch || !now.Before(until) || c.entries < 1 {
		return
	}
	if _, known := c.answers[string(id.Raw)]; !known && len(c.answers) >= c.entries {
		for k := range c.answers { // starts anywhere
			delete(c.answers, k)
			break
		}
	}
	c.answers[string(id.Raw)] = answer{resp, until}
}

// Forget drops all answers, and those on their way too.
func (c *cache) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	clear(c.answers)
}

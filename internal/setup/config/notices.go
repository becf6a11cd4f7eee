package config

import (
	"fmt"
	"net"
	"net/mail"
	"time"

	"bridge.example/internal/outbound"
)

func (w Watch) problems() (p []string) {
	for _, d := range []struct {
		path          string
		value         time.Duration
		least, utmost time.Duration
	}{
		{"watch.status", w.Status, time.Minute, 24 * time.Hour},
		{"watch.crl_grace", w.CRLGrace, 0, 90 * 24 * time.Hour},
		{"watch.checks", w.Checks, time.Hour, 7 * 24 * time.Hour},
	} {
		if d.value < d.least || d.value > d.utmost {
			p = append(p, fmt.Sprintf("%s: %v is not between %v and %v", d.path, d.value, d.least, d.utmost))
		}
	}
	return p
}

func (n Notices) problems() (p []string) {
	if _, err := time.Parse("15:04", n.At); err != nil {
		p = append(p, fmt.Sprintf("notices.at: %q is not a time of the day such as \"06:00\"", n.At))
	}
	if n.SMTP == "" {
		if n.From != "" || len(n.To) > 0 || n.MemberRole != "" {
			p = append(p, "notices.smtp: missing; name the relay as host:port, or leave from, to and member_role out")
		}
		return p
	}
	_, port, err := net.SplitHostPort(n.SMTP)
	if err == nil {
		_, err = outbound.ParseHost(n.SMTP)
	}
	if err != nil || port == "" {
		p = append(p, fmt.Sprintf("notices.smtp: %q is not host:port", n.SMTP))
	}
	if len(n.To) == 0 {
		p = append(p, "notices.to: want at least one address")
	}
	for path, addresses := range map[string][]string{"notices.from": {n.From}, "notices.to": n.To} {
		for _, a := range addresses {
			if m, err := mail.ParseAddress(a); err != nil || m.Address != a {
				p = append(p, fmt.Sprintf("%s: %q is not a mail address", path, a))
			}
		}
	}
	return p
}

// TimeOfDay is At as the time since midnight. It panics on a configuration that
// was never validated.
func (n Notices) TimeOfDay() time.Duration {
	t, err := time.Parse("15:04", n.At)
	if err != nil {
		panic("config: unvalidated notices.at: " + err.Error())
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
}

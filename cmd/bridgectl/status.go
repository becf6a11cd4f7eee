package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
)

func (t *tool) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show how the federation stands", Args: cobra.NoArgs,
		Long: `Shows how the federation stands, as the daemon sees it.

JSON: version (of the daemon), bridge (subject of its CA), bridge_not_after,
list_number, list_next_update, crl_number, crl_next_update, members {state:
count}, reconciled_at, problem (absent when all is well), bridge_keys [{generation,
phase, since, not_after, in_force, crl_number, crl_next_update}], ended_at (absent
while the bridge lives). in_force counts certificates.`,
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.status(ctx) }),
	}
}

type standing struct {
	Version        string         `json:"version"`
	Bridge         string         `json:"bridge"`
	BridgeNotAfter time.Time      `json:"bridge_not_after,omitzero"`
	ListNumber     int64          `json:"list_number"`
	ListNextUpdate time.Time      `json:"list_next_update,omitzero"`
	CRLNumber      int64          `json:"crl_number"`
	CRLNextUpdate  time.Time      `json:"crl_next_update,omitzero"`
	Members        map[string]int `json:"members"`
	ReconciledAt   time.Time      `json:"reconciled_at,omitzero"`
	Problem        string         `json:"problem,omitempty"`
	BridgeKeys     []bridgeKey    `json:"bridge_keys"`
	EndedAt        time.Time      `json:"ended_at,omitzero"`
}

type bridgeKey struct {
	Generation    int       `json:"generation"`
	Phase         string    `json:"phase"`
	Since         time.Time `json:"since,omitzero"`
	NotAfter      time.Time `json:"not_after"`
	InForce       int       `json:"in_force"`
	CRLNumber     int64     `json:"crl_number"`
	CRLNextUpdate time.Time `json:"crl_next_update,omitzero"`
}

func (t *tool) status(ctx context.Context) error {
	return t.ask(func(client proto.BridgeClient) error {
		p, err := client.GetStatus(ctx, &proto.GetStatusRequest{})
		if err != nil {
			return err
		}
		s := standing{
			Version: p.Version, Bridge: p.Bridge, BridgeNotAfter: instant(p.BridgeNotAfter),
			ListNumber: p.ListNumber, ListNextUpdate: instant(p.ListNextUpdate),
			CRLNumber: p.CrlNumber, CRLNextUpdate: instant(p.CrlNextUpdate),
			Members: map[string]int{}, ReconciledAt: instant(p.ReconciledAt), Problem: p.Problem,
			BridgeKeys: []bridgeKey{}, EndedAt: instant(p.EndedAt),
		}
		var r rows
		r.add("version", s.Version)
		r.add("bridge", s.Bridge)
		r.add("bridge until", stamp(s.BridgeNotAfter))
		r.add("list number", fmt.Sprint(s.ListNumber))
		r.add("list next update", stamp(s.ListNextUpdate))
		r.add("CRL number", fmt.Sprint(s.CRLNumber))
		r.add("CRL next update", stamp(s.CRLNextUpdate))
		for _, k := range p.BridgeKeys {
			s.BridgeKeys = append(s.BridgeKeys, bridgeKey{int(k.Generation), k.Phase, instant(k.Since), instant(k.NotAfter), int(k.InForce), k.CrlNumber, instant(k.CrlNextUpdate)})
			r.add(fmt.Sprintf("bridge key %d", k.Generation), fmt.Sprintf("%s, until %s, %d certificates in force", k.Phase, stamp(instant(k.NotAfter)), k.InForce))
		}
		r.add("bridge ended", stamp(s.EndedAt))
		for _, m := range p.Members {
			s.Members[stateName(m.State)] = int(m.Count)
			r.add("members "+stateName(m.State), fmt.Sprint(m.Count))
		}
		r.add("reconciled", stamp(s.ReconciledAt))
		r.add("problem", s.Problem)
		return t.emit(s, nil, r)
	})
}

package subscription

import "fmt"

// Attack is what a list that was refused looks like. It may have an innocent
// cause; the machine cannot tell, and need not.
type Attack string

// The attacks told apart. With OtherSigner, FastForward and Change somebody may
// consent to the list by its number.
const (
	Rollback     Attack = "rollback"                  // an older list
	Freeze       Attack = "freeze"                    // one that expired: newer ones are withheld
	MixAndMatch  Attack = "mix and match"             // the next number, made from another list than the one in use
	FastForward  Attack = "fast-forward"              // a number so high that the bridge's own lists would look old
	EndlessBody  Attack = "endless body"              // more bytes, or more slowly, than a list may come
	WrongSigner  Attack = "wrong signer"              // not this bridge
	LateSigner   Attack = "expired signer"            // this bridge, with a key out of use
	OtherSigner  Attack = "signer not announced"      // this bridge, with a key that the list in use did not announce
	SwappedView  Attack = "swapped view"              // a file whose hash the list does not hold
	Truncated    Attack = "truncated"                 // bytes missing
	Altered      Attack = "altered"                   // bytes changed, or not a list at all
	OtherContent Attack = "number with other content" // the number in use, signed twice
	OtherHost    Attack = "DNS to another host"       // the name leads inside
	ClockSetBack Attack = "clock set back"            // by it the list in use would not be valid yet
	Change       Attack = "large change"              // of what is selected
)

// Refusal is why a list was not put into use.
type Refusal struct {
	Attack Attack
	Err    error
}

func refuse(a Attack, format string, args ...any) *Refusal {
	return &Refusal{a, fmt.Errorf(format, args...)}
}

// Error names the attack and what showed it.
func (r *Refusal) Error() string { return string(r.Attack) + ": " + r.Err.Error() }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Consentable reports whether somebody may overrule the refusal.
func (r *Refusal) Consentable() bool {
	return r.Attack == FastForward || r.Attack == OtherSigner || r.Attack == Change
}

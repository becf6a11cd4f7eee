package checkup

import (
	"crypto/rsa"
	"fmt"
	"math/big"
)

// maxFactor bounds the factors looked for in a modulus (S/MIME BR §6.1.6).
const maxFactor = 752

// fermatRounds is how far apart two primes must be (S/MIME BR §6.1.1.3).
const fermatRounds = 100

// rsaWeaknesses says what is wrong with a key that nobody else's knowledge is
// needed to see.
func rsaWeaknesses(k *rsa.PublicKey) (out []string) {
	if k.E < 3 || k.E%2 == 0 {
		out = append(out, fmt.Sprintf("the exponent %d is even or below 3", k.E))
	}
	for d := int64(2); d < maxFactor; d++ {
		if new(big.Int).Mod(k.N, big.NewInt(d)).Sign() == 0 {
			out = append(out, fmt.Sprintf("the modulus is divisible by %d", d))
			break
		}
	}
	if hasROCA(k.N) {
		out = append(out, "the modulus has the fingerprint of keys from a broken generator (ROCA, CVE-2017-15361)")
	}
	if closePrimes(k.N) {
		out = append(out, "the two primes lie so close together that the modulus can be factored (Fermat)")
	}
	return out
}

// closePrimes tries Fermat's method: n = a² - b² with a just above the root of n.
func closePrimes(n *big.Int) bool {
	if n.Bit(0) == 0 {
		return false
	}
	a := new(big.Int).Sqrt(n)
	one, b, square := big.NewInt(1), new(big.Int), new(big.Int)
	if square.Mul(a, a).Cmp(n) < 0 {
		a.Add(a, one)
	}
	for range fermatRounds {
		b.Sub(square.Mul(a, a), n)
		if root := new(big.Int).Sqrt(b); square.Mul(root, root).Cmp(b) == 0 {
			return true
		}
		a.Add(a, one)
	}
	return false
}

// rocaPrimes are the small primes at which the fingerprint of Nemec et al., "The
// Return of Coppersmith's Attack" (2017), looks: the primes of such keys are
// powers of 65537 modulo a product of small primes, and so is their product.
var rocaPrimes = [...]int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157}

func hasROCA(n *big.Int) bool {
	for _, p := range rocaPrimes {
		rest := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		found, power := false, int64(1)
		for range p {
			if found = found || power == rest; found {
				break
			}
			power = power * 65537 % p
		}
		if !found {
			return false
		}
	}
	return true
}

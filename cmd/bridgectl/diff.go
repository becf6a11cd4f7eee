package main

import "slices"

// difference is one line that two records do not share.
type difference struct {
	Change string `json:"change"` // removed or added
	Name   string `json:"name"`
	Value  string `json:"value"`
}

func (d difference) String() string {
	sign := "+ "
	if d.Change == "removed" {
		sign = "- "
	}
	return sign + d.Name + ": " + d.Value
}

func changeRows(changes []difference) (r rows) {
	for _, c := range changes {
		r.add("change", c.String())
	}
	return r
}

// maxCompared bounds the work; no record that a register takes comes near it.
const maxCompared = 4 << 20

// compare returns what must be taken from old and put into new, in order: the
// lines outside a longest common subsequence. Order counts, as it does for
// directories.
func compare(old, new rows) []difference {
	out := []difference{}
	for len(old) > 0 && len(new) > 0 && slices.Equal(old[0], new[0]) {
		old, new = old[1:], new[1:]
	}
	if len(old)*len(new) > maxCompared {
		all := func(change string) func([]string) difference {
			return func(r []string) difference { return difference{change, r[0], r[1]} }
		}
		return append(each(old, all("removed")), each(new, all("added"))...)
	}
	common := make([][]int, len(old)+1) // of old[i:] and new[j:]
	for i := range common {
		common[i] = make([]int, len(new)+1)
	}
	for i := len(old) - 1; i >= 0; i-- {
		for j := len(new) - 1; j >= 0; j-- {
			if slices.Equal(old[i], new[j]) {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(old) || j < len(new); {
		switch {
		case i < len(old) && j < len(new) && slices.Equal(old[i], new[j]):
			i, j = i+1, j+1
		case j == len(new) || i < len(old) && common[i+1][j] >= common[i][j+1]:
			out = append(out, difference{"removed", old[i][0], old[i][1]})
			i++
		default:
			out = append(out, difference{"added", new[j][0], new[j][1]})
			j++
		}
	}
	return out
}

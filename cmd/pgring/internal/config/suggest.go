package config

import "fmt"

// didYouMean returns a hint that names the candidate nearest to a misspelled word, or nothing when none is near.
func didYouMean(word string, candidates []string) string {
	best, distance := "", len(word)+64
	for _, c := range candidates {
		if d := editDistance(word, c); near(word, c) && d < distance {
			best, distance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// near tells whether one word is plausibly the other one misspelled (at most a third of it is wrong) or abbreviated.
func near(word, right string) bool {
	longest := max(len(word), len(right))
	if longest > 64 || longest < 2 {
		return false
	}
	return editDistance(word, right) <= max(1, longest/3) || abbreviates(word, right)
}

// abbreviates tells whether the letters of the short word stand in the long one in the same order, as those of pswd do in
// password; at least half of them.
func abbreviates(short, long string) bool {
	if len(short)*2 < len(long) || len(short) < 3 {
		return false
	}
	i := 0
	for j := 0; j < len(long) && i < len(short); j++ {
		if short[i] == long[j] {
			i++
		}
	}
	return i == len(short)
}

// editDistance counts insertions, deletions, changes and swaps of neighbours (the optimal string alignment distance). Words
// that are too long to be names are infinitely far apart.
func editDistance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return 2 * longest
	}
	var row [3][longest + 1]int
	for j := range len(b) + 1 {
		row[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, now := &row[(i+2)%3], &row[i%3], &row[(i+1)%3]
		now[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
	}
	return row[(len(a)+1)%3][len(b)]
}

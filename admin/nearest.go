package admin

import "strings"

// nearest returns the name that somebody who typed given probably meant; empty when none is near.
func nearest(given string, names []string) string {
	if len(given) > longestName {
		return ""
	}
	best, distance := "", max(len(given)/3, 1)+1
	for _, name := range names {
		if d := editDistance(strings.ToLower(given), strings.ToLower(name)); d < distance {
			best, distance = name, d
		}
	}
	return best
}

// longestName bounds the work; PostgreSQL's names are no longer, and neither are commands.
const longestName = 64

// editDistance counts insertions, deletions, replacements and swaps of neighbours (optimal string alignment) between two texts, of
// which only the first longestName bytes count.
func editDistance(a, b string) int {
	a, b = a[:min(len(a), longestName)], b[:min(len(b), longestName)]
	var rows [3][longestName + 1]int // the row before the last one, the last one, this one
	for j := range len(b) + 1 {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		rows[2][0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[2][j] = min(rows[1][j]+1, rows[2][j-1]+1, rows[1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[2][j] = min(rows[2][j], rows[0][j-2]+1)
			}
		}
		rows[0], rows[1] = rows[1], rows[2]
	}
	return rows[1][len(b)]
}

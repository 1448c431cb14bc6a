// Package mystery has no place in the picture.
package mystery

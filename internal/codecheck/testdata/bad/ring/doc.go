// This comment does not name the package.
package ring

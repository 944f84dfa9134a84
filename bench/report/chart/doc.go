// Package chart draws what a siege measured as SVG that stands inside of an HTML page: values over time as lines or
// as a stack, and a few values as bars.
//
// It knows nothing of sieges and nothing of colours: series have classes, s1 to s8, which the page's style sheet
// gives a colour for light and for dark. All text goes through html/template. Any goroutine.
package chart

# SPDX-License-Identifier: Apache-2.0
#
# Lines through points: `n` blocks of `input`, each with its name first. Greys and middle tones on
# nothing, which can be read on white and on black.
set terminal svg size 760,440 font 'sans-serif,13' rounded
set output output
grey = '#808080'
set title heading textcolor rgb grey
set xlabel x textcolor rgb grey
set ylabel y textcolor rgb grey
set border 3 linecolor rgb grey
set tics nomirror textcolor rgb grey
set grid linecolor rgb grey linewidth 0.4 dashtype 3
set key outside right textcolor rgb grey
array colours[12] = ['#e0662f', '#3b8fd4', '#2fa36b', '#b46bd6', '#c79a1a', '#d65a7f', '#5f9ea0', \
	'#9a8060', '#7f8fe0', '#a0a030', '#40b8b8', '#d04040']
plot for [i = 0:n - 1] input index i using 1:2 with linespoints linewidth 1.8 pointtype 7 \
	pointsize 0.5 linecolor rgb colours[i % 12 + 1] title columnheader(1)

# Draws a flame graph: reads folded stacks ("outer;inner;innermost COUNT" a line, in any order), writes an SVG. The title
# of a box says what it is and its share; hover over it to read.
#   sort FOLDED | awk -v title="…" -f scripts/flamegraph.awk >flame.svg

function escaped(text) {
  gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text)
  return text
}

# One box: of all stacks that begin with the path, side by side since the input is sorted.
function close_boxes(depth, level) {
  for (level = open_depth; level > depth; level--) {
    boxes++
    name[boxes] = open_name[level]; at[boxes] = open_at[level]; wide[boxes] = total - open_at[level]; high[boxes] = level
  }
}

{
  count = $NF
  stack = substr($0, 1, length($0) - length(count) - 1)
  depth = split(stack, frames, ";")
  same = 0
  while (same < depth && same < open_depth && frames[same + 1] == open_name[same + 1]) same++
  close_boxes(same)
  for (level = same + 1; level <= depth; level++) { open_name[level] = frames[level]; open_at[level] = total }
  open_depth = depth
  if (depth > deepest) deepest = depth
  total += count
}

END {
  close_boxes(0)
  if (total == 0) { print "there is nothing to draw" >"/dev/stderr"; exit 1 }
  box = 16; width = 1200; least = total / width / 2
  height = (deepest + 3) * box
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"monospace\" font-size=\"11\">\n", width, height
  print "<style>rect { stroke: #fff; stroke-width: 0.5 }</style>"
  printf "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/><text x=\"8\" y=\"14\">%s</text>\n", width, height, escaped(title)
  for (i = 1; i <= boxes; i++) {
    if (wide[i] < least) continue
    x = at[i] / total * width; w = wide[i] / total * width; y = height - (high[i] + 1) * box
    label = name[i]
    shade = 0
    for (c = 1; c <= length(label); c++) shade = (shade * 31 + index("abcdefghijklmnopqrstuvwxyz_:<>", tolower(substr(label, c, 1)))) % 97
    printf "<g><title>%s: %.1f %%</title><rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"hsl(%d,80%%,%d%%)\"/>", \
      escaped(label), wide[i] / total * 100, x, y, w, box, 15 + shade % 40, 62 + shade % 12
    letters = int(w / 6.8) - 1
    if (letters > 2) printf "<text x=\"%.1f\" y=\"%d\">%s</text>", x + 2, y + 12, escaped(substr(label, 1, letters))
    print "</g>"
  }
  print "</svg>"
}

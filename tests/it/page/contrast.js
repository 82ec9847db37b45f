// The body of a function, which the test runs in the page.
const light = (color) => {
  const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
  const [x, y, z] = [r, g, b].map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return a === 0 ? null : 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const behind = (e) => light(getComputedStyle(e).backgroundColor) ?? behind(e.parentElement);
let lowest = [99, ''];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const e = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !e.checkVisibility() || /SCRIPT|STYLE/.test(e.tagName)) continue;
  const [one, two] = [light(getComputedStyle(e).color), behind(e)].sort((a, b) => b - a);
  const contrast = (one + 0.05) / (two + 0.05);
  if (contrast < lowest[0]) lowest = [contrast, e.outerHTML];
}
return lowest;

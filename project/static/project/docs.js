// Swagger UI has a dark scheme, but switches to it only in a layout with a bar at the top, which this page does not have.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

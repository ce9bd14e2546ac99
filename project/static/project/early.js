// Runs before the page is drawn, so that it begins as what it is going to be.
let view = "welcome";
try {
  if (sessionStorage.getItem("login") || new URLSearchParams(location.search).get("as")) view = "space";
} catch {
  // Cookies are blocked. The first page says so.
}
document.documentElement.dataset.view = view;

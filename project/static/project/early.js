// Runs before the page is drawn, so that it begins as what it is going to be.
const isKnown = sessionStorage.getItem("login") || new URLSearchParams(location.search).get("as");
document.documentElement.dataset.view = isKnown ? "space" : "welcome";

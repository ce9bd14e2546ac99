// Runs before the page is drawn, so that it begins as what it is going to be.
document.documentElement.dataset.view = sessionStorage.getItem("login") ? "space" : "welcome";

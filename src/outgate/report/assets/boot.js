// Before anything is laid out: the page will be an application. If that fails, it is a document again.
const root = document.documentElement;
root.classList.add("js");
root.dataset.view = "graph";
window.addEventListener("error", () => {
  if ("ready" in root.dataset) return;
  root.classList.remove("js");
  for (const view of document.querySelectorAll(".view")) view.hidden = false;
});

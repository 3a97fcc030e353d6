/** Light, dark, or what the system says. */

const NEXT = { system: "light", light: "dark", dark: "system" };

/** Makes a button that goes through the three, and remembers the choice. */
export function chooseTheme(button) {
  const show = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    return theme;
  };
  let theme = show(remembered());
  button.addEventListener("click", () => {
    theme = show(NEXT[theme]);
    try {
      localStorage.setItem("lucidbox-theme", theme);
    } catch {
      // A browser that remembers nothing shows the choice until the page is closed.
    }
  });
}

function remembered() {
  try {
    const theme = localStorage.getItem("lucidbox-theme");
    return theme in NEXT ? theme : "system";
  } catch {
    return "system";
  }
}

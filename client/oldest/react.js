/** React 18.0, with `act` where newer versions have it. */

export * from "./node_modules/react/index.js";
export { act } from "./node_modules/react-dom/test-utils.js";

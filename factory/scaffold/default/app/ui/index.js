// The barrel of the app's own components. A fresh scaffold has none.
export default {};

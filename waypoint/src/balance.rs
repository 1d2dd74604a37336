//! Pure. Which endpoint of a destination takes a request, and which are left out for a time.

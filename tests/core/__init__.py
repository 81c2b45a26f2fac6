"""core tests"""
